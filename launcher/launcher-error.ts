/** Errors that tell the person at the keyboard what to do: `main.ts` prints them without a stack. */

export type LauncherErrorCode =
  | 'node_too_old'
  | 'config_unusable'
  | 'data_dir_locked'
  | 'platform_not_found'
  | 'data_dir_unusable'
  | 'port_busy'
  | 'postgres_unusable'
  | 'database_unreachable'
  | 'database_not_ours'
  | 'process_not_ready'
  | 'unknown_process'

/** An expected failure: `code` is stable, `message` says what happened and what to do next. */
export class LauncherError extends Error {
  readonly code: LauncherErrorCode

  constructor(code: LauncherErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'LauncherError'
    this.code = code
  }
}
