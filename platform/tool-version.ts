/** A caller may state which version of a tool it was written for; whoever is behind is told so. */
import { AppError, invalid } from './errors.ts'
import type { ToolContract } from './tool.ts'

/** Where it is stated: under this name in a call's `_meta`, or in this header of the facade. */
export const versionMetaKey = 'baton/toolVersion'
export const versionHeader = 'baton-tool-version'

export interface Warning {
  readonly code: string
  readonly message: string
  readonly next: string
}

/**
 * Nothing stated, nothing said. An older version that still works gets a warning.
 *
 * @throws invalid `tool_version_too_old`, `invalid_tool_version`.
 * @throws unavailable `tool_version_unknown`: the caller is newer than this process, as during a
 *   rolling deploy; another replica may know it.
 */
export function checkVersion(contract: ToolContract, stated: unknown): Warning[] {
  if (stated === undefined) return []
  const version = typeof stated === 'string' && /^\d{1,9}$/.test(stated) ? Number(stated) : stated
  const { name, version: present, oldestVersion: oldest = present } = contract
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1) {
    throw invalid('invalid_tool_version', 'A tool version is a whole number from 1', {
      next: `State ${present}, or nothing.`,
    })
  }
  if (version > present) {
    throw new AppError('unavailable', 'tool_version_unknown', `${name} has version ${present}`, {
      next: 'Try again when this server was updated too.',
    })
  }
  const next = `Read the tool's present schema (tools/list) and state version ${present}.`
  if (version < oldest) {
    const message = `Version ${version} of ${name} is not served any more; the oldest is ${oldest}`
    throw invalid('tool_version_too_old', message, { next })
  }
  if (version === present) return []
  const message = `Version ${version} of ${name} is old; the present one is ${present}`
  return [{ code: 'tool_version_old', message, next }]
}
