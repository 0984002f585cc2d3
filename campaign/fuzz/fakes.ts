import { VolumeExpansionError } from '../../src/errors.ts'
import type { BatchItem, BatchResults, ExecItem, ExecResult, Host } from '../../src/hosts/host.ts'
import type { HttpAnswer, HttpClient, HttpRequest } from '../../src/services/http.ts'

/** A host that runs nothing: commands are answered by a function, with the contract's rule by which a failure skips what comes after it. */
export function answeringHost(answer: (item: ExecItem) => Partial<ExecResult>): Host {
  const run = (item: ExecItem): ExecResult => {
    const base: ExecResult = {
      argv: item.exec,
      ended: 'exited',
      ok: false,
      exitCode: 0,
      stdout: '',
      stderr: '',
      milliseconds: 1,
    }
    const result = { ...base, ...answer(item) }
    return { ...result, ok: result.ended === 'exited' && (item.accept ?? [0]).includes(result.exitCode ?? -1) }
  }
  return {
    id: 'fake',
    exec: async (argv, options = {}) => run({ exec: argv, ...options }),
    async batch<const Items extends readonly BatchItem[]>(items: Items): Promise<BatchResults<Items>> {
      let failed = false
      const results = items.map((item) => {
        if (!('exec' in item)) throw new TypeError('Only commands are answered.')
        if (failed) return { argv: item.exec, ended: 'skipped', ok: false, stdout: '', stderr: '', milliseconds: 0 }
        const result = run(item)
        failed = !result.ok
        return result
      })
      return results as unknown as BatchResults<Items>
    },
  }
}

/** How often one read may ask before it is taken for one that never ends. */
const mostRequests = 60

export interface FakeHttp extends HttpClient {
  readonly requests: HttpRequest[]
}

export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly text: string
}

/** An HTTP client without a network, which fails as the library's own one does when a body is no JSON. */
export function answeringHttp(provider: string, answer: (request: HttpRequest) => Answer): FakeHttp {
  const requests: HttpRequest[] = []
  return {
    requests,
    async send(request): Promise<HttpAnswer> {
      requests.push(request)
      if (requests.length > mostRequests) throw new Error(`more than ${mostRequests} requests: it would never end`)
      const { status = 200, headers = {}, text } = answer(request)
      return {
        ...{ status, headers, text },
        json(): unknown {
          if (text.trim() === '') return undefined
          try {
            return JSON.parse(text) as unknown
          } catch (cause) {
            throw new VolumeExpansionError('backend-unreachable', 'It answered with something that is not JSON.', {
              ...{ layer: 'volume', provider, outcome: 'unchanged', retryable: true, cause, remedy: 'Look at it.' },
            })
          }
        },
      }
    },
    close: () => undefined,
  }
}
