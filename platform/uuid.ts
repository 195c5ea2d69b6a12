/** UUIDs as texts. */

const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** True for a UUID of any version, in either case. */
export const isUuid = (value: string | undefined): boolean =>
  value !== undefined && uuid.test(value)
