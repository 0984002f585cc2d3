import * as fs from 'node:fs'
import { searchPath } from '../command.ts'

/** Where a program is; or why it cannot be run: `missing` is nowhere, `refused` is there and may not be executed. */
export type ToolLocation =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly ended: 'missing' | 'refused'; readonly message: string }

/**
 * Finds a program as execvp(3) does, but always in the same directories. Resolved before anything is spawned, because below flock a missing tool could no
 * longer be told from a tool that fails.
 */
export function findTool(name: string): ToolLocation {
  if (name.includes('/')) return check(name)
  let refused: ToolLocation | undefined
  for (const directory of searchPath) {
    const location = check(`${directory}/${name}`)
    if (location.ok) return location
    if (location.ended === 'refused') refused ??= location
  }
  return refused ?? { ok: false, ended: 'missing', message: `${name}: not found in ${searchPath.join(', ')}` }
}

function check(path: string): ToolLocation {
  try {
    const stats = fs.statSync(path, { throwIfNoEntry: false })
    if (stats === undefined) return { ok: false, ended: 'missing', message: `${path}: no such file` }
    if (!stats.isFile()) return { ok: false, ended: 'refused', message: `${path}: not a file` }
    fs.accessSync(path, fs.constants.X_OK)
    return { ok: true, path }
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return { ok: false, ended: 'refused', message }
  }
}
