import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { VolumeExpansionError } from '../../../src/errors.ts'
import { attempt, run, until } from './commands.ts'
import { scratchDirectory } from './disk.ts'

/** Modules of the guest's kernel. Ciphers come before dm-crypt, which looks for them only once. */
export function loadModules(...names: readonly string[]): void {
  for (const name of names) run('modprobe', '-d', '/mnt/.modules', name)
}

/** The passphrase of the tests; nothing may ever show it. */
export const passphrase = 'canary-5f0b7c19'

export interface LuksOptions {
  readonly name: string
  readonly type: 'luks1' | 'luks2'
  /** Of luksFormat. */
  readonly format?: readonly string[]
  /** Of open. */
  readonly open?: readonly string[]
}

/** A LUKS container that is open for as long as the test runs; what opens it costs little. @returns its mapping */
export function luksOn(device: string, { name, type, format = [], open = [] }: LuksOptions): string {
  loadModules('cbc', 'ctr', 'dm-crypt')
  const cheap = [...(type === 'luks2' ? ['--pbkdf', 'pbkdf2'] : []), '--pbkdf-force-iterations', '1000']
  const cipher = ['--cipher', 'aes-cbc-plain64', '--key-size', '256']
  withKey(
    'cryptsetup',
    'luksFormat',
    '--batch-mode',
    '--type',
    type,
    ...cheap,
    ...cipher,
    ...format,
    '--key-file',
    '-',
    device,
  )
  withKey('cryptsetup', 'open', ...open, '--key-file', '-', device, name)
  onTestFinished(async () => {
    await until(`cryptsetup close ${name}`, () => attempt('cryptsetup', 'close', name).code === 0)
  })
  return `/dev/mapper/${name}`
}

/** Runs a program that reads the passphrase from its standard input. */
export function withKey(program: string, ...args: readonly string[]): void {
  withInput(passphrase, program, ...args)
}

export function withInput(input: string, program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { input, stdio: ['pipe', 'ignore', 'pipe'] })
}

/** Runs a command of LVM that keeps no archive, since the guest's /etc cannot be written, and that makes device nodes by itself, since no udev runs. */
export function lvm(command: string, ...args: readonly string[]): string {
  return run(command, ...lvmOptions, ...args)
}

const lvmOptions = ['--config', 'backup { archive=0 backup=0 } activation { udev_sync=0 udev_rules=0 }']

/** A volume group that is there for as long as the test runs. */
export function groupOn(name: string, devices: readonly string[], options: readonly string[] = []): void {
  lvm('pvcreate', '--quiet', ...options, ...devices)
  lvm('vgcreate', '--quiet', name, ...devices)
  onTestFinished(async () => {
    await until(`the end of ${name}`, () => attempt('vgchange', ...lvmOptions, '--activate', 'n', name).code === 0)
  })
}

export function columnOf(command: 'lvs' | 'pvs' | 'vgs', column: string, name: string): string {
  return run(command, '--noheadings', '--nosuffix', '--units', 'b', '--options', column, name)
}

/** Mounted at a directory of its own until the test ends. */
export function mounted(device: string): string {
  const point = join(scratchDirectory(tmpdir()), 'mounted')
  fs.mkdirSync(point)
  run('mount', '--', device, point)
  onTestFinished(() => unmounted(point))
  return point
}

export async function unmounted(point: string): Promise<void> {
  await until(`umount of ${point}`, () => {
    const { code, said } = attempt('umount', '--', point)
    return code === 0 || /not mounted|no mount point/.test(said)
  })
}

/** Bytes of a block device, by the kernel. */
export function sizeOf(device: string): bigint {
  return BigInt(run('blockdev', '--getsize64', device))
}

/** Looks at the command lines and environments of all processes, over and over, for something that must not be there. */
export function watchFor(secret: string): () => readonly string[] {
  const seen = new Set<string>()
  const look = (): void => {
    for (const pid of fs.readdirSync('/proc')) {
      if (!/^\d+$/.test(pid)) continue
      for (const name of ['cmdline', 'environ']) {
        try {
          const text = fs.readFileSync(`/proc/${pid}/${name}`, 'utf8')
          if (text.includes(secret)) seen.add(`${name} of ${text.split('\0')[0]}`)
        } catch {
          // It has ended.
        }
      }
    }
  }
  const timer = setInterval(look, 2)
  return () => {
    clearInterval(timer)
    look()
    return [...seen]
  }
}

/** The error that a run ends with. */
export async function refusalOf(run: PromiseLike<unknown>): Promise<VolumeExpansionError> {
  const thrown = await run.then(
    (value) => new Error(`It was not refused: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  )
  if (!(thrown instanceof VolumeExpansionError)) throw thrown
  return thrown
}
