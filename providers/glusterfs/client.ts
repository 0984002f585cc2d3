import { type Outcome, VolumeExpansionError } from '../../src/errors.ts'
import type { ExecItem, ExecResult, Host } from '../../src/hosts/host.ts'
import { failure, providerName } from './errors.ts'
import { parseXml, type XmlElement } from './xml.ts'

/** What `gluster` answered: its own verdict, and never its exit code, which is 0 for most failures. */
export interface GlusterAnswer {
  /** Whether `opRet` is 0. */
  readonly ok: boolean
  /** `opErrstr`, or for answers without one what was said instead. */
  readonly message: string
  readonly xml: XmlElement
}

/** The `gluster` command on a server of the pool. */
export interface GlusterClient {
  /** Commands that change nothing, in one round trip. */
  query(commands: readonly (readonly string[])[], signal: AbortSignal | undefined): Promise<readonly GlusterAnswer[]>
  /** One command that changes something. Rejects with outcome `unknown` when its answer is lost; a refusal is an answer. */
  change(command: readonly string[], signal: AbortSignal | undefined): Promise<GlusterAnswer>
}

export interface GlusterClientOptions {
  readonly host: Host
  /** Socket of glusterd, when it is not at the usual place. */
  readonly socket?: string | undefined
}

/** The command gives up after 2 minutes, and after 10 for what may take long (cli-rpc-ops.c). */
const patience = 630_000

const anyCode = Array.from({ length: 256 }, (_, code) => code)

export function glusterClient({ host, socket }: GlusterClientOptions): GlusterClient {
  const program = ['gluster', '--mode=script', '--xml', ...(socket === undefined ? [] : [`--glusterd-sock=${socket}`])]
  const item = (command: readonly string[]): ExecItem => ({
    exec: [...program, ...command],
    // A refusal must not keep the commands after it from being asked.
    accept: anyCode,
    deadline: patience,
  })
  const run = async (
    commands: readonly (readonly string[])[],
    signal: AbortSignal | undefined,
    details: { readonly outcome?: Outcome } = {},
  ): Promise<readonly ExecResult[]> => {
    try {
      return await host.batch(commands.map(item), signal === undefined ? {} : { signal })
    } catch (error) {
      if (!(error instanceof VolumeExpansionError)) throw error
      throw error.with({ layer: 'volume', provider: providerName, ...details })
    }
  }
  return {
    query: async (commands, signal) =>
      (await run(commands, signal, { outcome: 'unchanged' })).map((result) => answerOf(result, host, 'unchanged')),
    async change(command, signal) {
      const [result] = await run([command], signal)
      if (result === undefined) throw new TypeError('A host gives one result for each item.')
      return answerOf(result, host, 'unknown')
    },
  }
}

function answerOf(result: ExecResult, host: Host, outcome: Outcome): GlusterAnswer {
  const { ended, stdout, stderr } = result
  if (ended === 'missing') {
    throw failure('tool-missing', `gluster is missing on ${host.id}.`, 'unchanged', {
      remedy: 'Give a server of the pool as `host`, or install glusterfs-server (Debian) or glusterfs-cli (RPM) there.',
    })
  }
  if (ended === 'refused') {
    throw failure('permission-denied', `gluster may not be executed on ${host.id}.`, 'unchanged', {
      remedy: 'Run it as root there.',
    })
  }
  const xml = parseXml(stdout)
  const opRet = xml?.text('opRet')
  if (xml !== undefined && opRet !== undefined) {
    const message = xml.text('opErrstr') ?? xml.text('output') ?? ''
    return { ok: opRet === '0', message, xml }
  }
  throw withoutVerdict(`${stdout} ${stderr}`.replace(/\s+/g, ' ').trim(), result, host, outcome)
}

function withoutVerdict(said: string, { ended }: ExecResult, host: Host, outcome: Outcome): VolumeExpansionError {
  if (/Connection failed|gluster daemon is (?:not )?operational/.test(said)) {
    return failure('backend-unreachable', `glusterd does not answer on ${host.id}: ${said}`, 'unchanged', {
      remedy: 'Start glusterd there, or give another server of the pool as `host`.',
      retryable: true,
    })
  }
  if (ended === 'killed' || /timed out/i.test(said)) {
    return failure('timeout', `gluster did not end in time on ${host.id}.`, outcome, {
      remedy: 'See whether all servers of the pool answer. Run this again: it observes first.',
      retryable: true,
    })
  }
  const how = said === '' ? `without a word (${ended})` : `with: ${said.slice(0, 300)}`
  return failure('backend-unreachable', `gluster answered on ${host.id} ${how}`, outcome, {
    remedy: 'Run the command by hand on that server; its log is /var/log/glusterfs/cli.log.',
  })
}
