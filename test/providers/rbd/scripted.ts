import type { BatchItem, BatchResults, ExecItem, ExecOptions, ExecResult, Host } from '../../../src/hosts/host.ts'

/** What a command is answered with: an exit code with what it wrote, or another end. */
export interface Answer {
  readonly exitCode?: number
  readonly stdout?: string
  readonly stderr?: string
  readonly ended?: ExecResult['ended']
}

export interface ScriptedHost extends Host {
  /** Every command that was begun, in order. */
  readonly commands: readonly (readonly string[])[]
  readonly options: readonly ExecOptions[]
  /** How many round trips there were. */
  readonly roundTrips: number
}

/** A host on which commands are answered by a script, with the rule by which a failure skips the commands after it. */
export function scriptedHost(answer: (argv: readonly string[], stdin: string) => Answer): ScriptedHost {
  const commands: (readonly string[])[] = []
  const options: ExecOptions[] = []
  let roundTrips = 0
  const run = (argv: readonly string[], given: ExecOptions): ExecResult => {
    commands.push(argv)
    options.push(given)
    const {
      exitCode = 0,
      stdout = '',
      stderr = '',
      ended = 'exited',
    } = answer(argv, Buffer.from(given.stdin ?? []).toString())
    const ok = ended === 'exited' && (given.accept ?? [0]).includes(exitCode)
    return { argv, ended, ok, stdout, stderr, milliseconds: 1, ...(ended === 'exited' ? { exitCode } : {}) }
  }
  return {
    id: 'scripted',
    commands,
    options,
    get roundTrips() {
      return roundTrips
    },
    exec: async (argv, given = {}) => run(argv, given),
    async batch<const Items extends readonly BatchItem[]>(items: Items): Promise<BatchResults<Items>> {
      roundTrips += 1
      let failed = false
      const results = items.map((item): ExecResult => {
        const { exec, ...given } = item as ExecItem
        if (failed) return { argv: exec, ended: 'skipped', ok: false, stdout: '', stderr: '', milliseconds: 0 }
        const result = run(exec, given)
        failed ||= !result.ok
        return result
      })
      return results as unknown as BatchResults<Items>
    },
  }
}

/** The value of an option that is written in one argument, such as `--image=a`. */
export function optionOf(argv: readonly string[], name: string): string | undefined {
  return argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3)
}
