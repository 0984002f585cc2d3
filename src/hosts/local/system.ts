import * as fs from 'node:fs'
import { endianness, release } from 'node:os'
import type { SystemSnapshot } from '../host.ts'
import { parseCapabilities, parsePageSize } from '../proc.ts'
import { readNow } from './files.ts'

/** The name of a process, never its arguments: those may hold secrets. */
export function commandOf(pid: number): string {
  return readNow(`/proc/${pid}/comm`)?.trimEnd() ?? ''
}

let pageSize: number | undefined

/** Whom our commands run as, and on what. */
export function observeSystem(): SystemSnapshot {
  pageSize ??= readPageSize()
  return {
    kernel: release(),
    uid: process.geteuid?.() ?? 0,
    capabilities: parseCapabilities(readNow('/proc/self/status') ?? ''),
    pageSize,
  }
}

function readPageSize(): number {
  const wordBytes = ['arm', 'ia32', 'mips', 'mipsel', 'ppc'].includes(process.arch) ? 4 : 8
  try {
    return parsePageSize(fs.readFileSync('/proc/self/auxv'), wordBytes, endianness() === 'LE') ?? 4096
  } catch {
    return 4096
  }
}
