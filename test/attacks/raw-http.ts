/** HTTP byte by byte, where no client library would send it. */
import { connect } from 'node:net'

const answerMs = 5_000
const dripMs = 500

/** Sends lines as they are; what comes until the server closes, or has answered with headers. */
export function sendLines(port: number, lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(lines.join('\r\n')))
    const done = () => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(answerMs, done)
    socket.on('data', (data) => {
      answer += data.toString()
      if (answer.includes('\r\n\r\n')) setImmediate(done)
    })
    socket.on('close', done).on('error', reject)
  })
}

/** Sends `start` and then a byte every half second, until the server has had enough. */
export function drip(port: number, start: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(start))
    const dripping = setInterval(() => socket.write('x'), dripMs)
    socket.on('data', (data) => {
      answer += data.toString()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearInterval(dripping)
      resolve(answer)
    })
  })
}
