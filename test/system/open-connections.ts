/** The TCP connections that a process has open, as Linux shows them under /proc. */
import { readdir, readFile, readlink } from 'node:fs/promises'

const established = '01'

/** The ports that `pid` is connected to. */
export async function peerPortsOf(pid: number): Promise<Set<number>> {
  const sockets = await socketsOf(pid)
  const tables = ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8'))
  const lines = (await Promise.all(tables)).flatMap((table) => table.split('\n').slice(1))
  const ports = lines.flatMap((line) => {
    const [, , remote = '', state, , , , , , inode = ''] = line.trim().split(/\s+/)
    if (state !== established || !sockets.has(inode)) return []
    return [Number.parseInt(remote.split(':')[1] ?? '', 16)]
  })
  return new Set(ports)
}

async function socketsOf(pid: number): Promise<Set<string>> {
  const folder = `/proc/${pid}/fd`
  const links = (await readdir(folder)).map((fd) => readlink(`${folder}/${fd}`).catch(() => ''))
  return new Set(
    (await Promise.all(links)).map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? ''),
  )
}
