import { type ChildProcess, spawn } from 'node:child_process'
import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { acceptSocket, type ServerSocket } from './websocket.ts'

/** A Pod object, as far as it is looked at. */
export interface PodObject {
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly labels: Readonly<Record<string, string>>
    readonly deletionTimestamp?: string
  }
  readonly spec: {
    readonly nodeName?: string
    readonly hostPID?: boolean
    readonly containers: readonly {
      readonly name: string
      readonly securityContext?: { readonly privileged: boolean }
    }[]
  }
  readonly status: {
    readonly phase: string
    readonly conditions: readonly { readonly type: string; readonly status: string }[]
    readonly containerStatuses: readonly { readonly name: string; readonly state: object }[]
  }
}

export interface Refusal {
  readonly status: number
  readonly body: string
}

export interface ApiServerOptions {
  readonly pods?: readonly PodObject[]
  /** Those of the server, best first. Left out: `v5.channel.k8s.io` and `v4.channel.k8s.io`. */
  readonly protocols?: readonly string[]
  /** What a container puts before a command: how it gets into the pod. */
  readonly inside?: readonly string[]
  /** False: as a gateway that swallows them. */
  readonly answersPings?: boolean
  /** What answers a request instead of the server. */
  refuse?(request: { readonly path: string; readonly exec: boolean }): Refusal | undefined
  /** The message of a failure of the container runtime, instead of a process. */
  readonly runtimeFailure?: string
}

/** An API server with the exec streams of its kubelets: commands run on this machine. */
export interface ApiServer {
  readonly port: number
  /** Changed by tests while it runs. */
  options: ApiServerOptions
  /** A kubeconfig for it, or for what stands before it. */
  kubeconfig(port?: number): string
  readonly token: string
  /** Paths of the requests, without exec streams. */
  readonly requests: readonly string[]
  /** The negotiated protocol of each stream. */
  readonly streams: readonly string[]
  /** The commands of the streams. */
  readonly commands: readonly (readonly string[])[]
  /** Streams that are open, and processes that live. */
  readonly open: number
  readonly running: number
  /** Ends all streams without a word. */
  cut(): void
  close(): Promise<void>
}

const channels = { stdin: 0, stdout: 1, stderr: 2, status: 3, close: 255 } as const
const usualProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io']

export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const token = 'canary-t0ken-of-a-service-account'
  const requests: string[] = []
  const streams: string[] = []
  const commands: (readonly string[])[] = []
  const sockets = new Set<ServerSocket>()
  const processes = new Set<ChildProcess>()
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    requests.push(url.pathname)
    const { status, body } = answerOf(request, url, false) ?? read(url)
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  })
  const self: ApiServer = {
    options,
    token,
    requests,
    streams,
    commands,
    get port() {
      const address = server.address()
      return typeof address === 'object' && address !== null ? address.port : 0
    },
    get open() {
      return sockets.size
    },
    get running() {
      return processes.size
    },
    kubeconfig: (port = self.port) =>
      JSON.stringify({
        ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'lab' },
        clusters: [{ name: 'lab', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
        users: [{ name: 'tester', user: { token } }],
        contexts: ['lab', 'other'].map((name) => ({ name, context: { cluster: 'lab', user: 'tester' } })),
      }),
    cut: () => {
      for (const socket of sockets) socket.cut()
    },
    close: async () => {
      self.cut()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }

  function answerOf(request: IncomingMessage, url: URL, exec: boolean): Refusal | undefined {
    if (request.headers.authorization !== `Bearer ${token}`) return failure(401, 'Unauthorized')
    return self.options.refuse?.({ path: url.pathname, exec })
  }

  function podNamed(name: string): PodObject | undefined {
    return (self.options.pods ?? [runningPod()]).find(({ metadata }) => metadata.name === name)
  }

  function read(url: URL): Refusal {
    const [, namespace, name] = /^\/api\/v1\/namespaces\/([^/]+)\/pods(?:\/([^/]+))?$/.exec(url.pathname) ?? []
    if (namespace === undefined) return failure(404, 'the server could not find the requested resource')
    if (name === undefined) return { status: 200, body: JSON.stringify({ kind: 'PodList', items: select(url) }) }
    const pod = podNamed(name)
    return pod === undefined
      ? failure(404, `pods "${name}" not found`)
      : { status: 200, body: JSON.stringify({ kind: 'Pod', ...pod }) }
  }

  function select(url: URL): readonly PodObject[] {
    const labels = (url.searchParams.get('labelSelector') ?? '').split(',').map((label) => label.split('='))
    const node = url.searchParams.get('fieldSelector')?.replace('spec.nodeName=', '')
    return (self.options.pods ?? [runningPod()]).filter(
      ({ metadata, spec }) =>
        spec.nodeName === node && labels.every(([key = '', value]) => metadata.labels[key] === value),
    )
  }

  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const refused = answerOf(request, url, true) ?? execRefusal(url)
    if (refused !== undefined) {
      const length = Buffer.byteLength(refused.body)
      socket.on('error', () => undefined)
      socket.end(
        `HTTP/1.1 ${refused.status} Refused\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${refused.body}`,
      )
      return
    }
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(/,\s*/)
    const protocol = (self.options.protocols ?? usualProtocols).find((one) => offered.includes(one)) ?? ''
    streams.push(protocol)
    commands.push(url.searchParams.getAll('command'))
    carry(request, socket, protocol, url.searchParams.getAll('command'))
  })

  function execRefusal(url: URL): Refusal | undefined {
    const [, name] = /\/pods\/([^/]+)\/exec$/.exec(url.pathname) ?? []
    const pod = podNamed(name ?? '')
    if (pod === undefined) return failure(404, `pods "${name}" not found`)
    const container = url.searchParams.get('container')
    if (pod.spec.containers.some((one) => one.name === container)) return undefined
    return failure(400, `container ${container} is not valid for pod ${name}`)
  }

  function carry(request: IncomingMessage, socket: Duplex, protocol: string, command: readonly string[]): void {
    let child: ChildProcess | undefined
    const stream = acceptSocket(
      ...([request, socket, protocol] as const),
      {
        message: (bytes) => {
          if (bytes[0] === channels.stdin) child?.stdin?.write(bytes.subarray(1))
          if (bytes[0] === channels.close && bytes[1] === channels.stdin) child?.stdin?.end()
        },
        gone: () => {
          sockets.delete(stream)
          // A process whose client has gone sees the end of its input.
          child?.stdin?.end()
        },
      },
      self.options.answersPings ?? true,
    )
    sockets.add(stream)
    const status = (object: object): void => {
      stream.send(Buffer.concat([Uint8Array.of(channels.status), Buffer.from(JSON.stringify(object))]))
      stream.close()
    }
    for (const channel of [channels.stdout, channels.stderr, channels.status]) stream.send(Uint8Array.of(channel))
    if (self.options.runtimeFailure !== undefined) {
      status({ kind: 'Status', status: 'Failure', reason: 'InternalError', message: self.options.runtimeFailure })
      return
    }
    const [program = '', ...args] = [...(self.options.inside ?? []), ...command]
    // Of no use to the command: a container has an environment of its own.
    const env = { PATH: process.env['PATH'], FROM_THE_IMAGE: 'yes' }
    const started = spawn(program, args, { cwd: '/', detached: true, stdio: 'pipe', env })
    child = started
    processes.add(started)
    started.stdin.on('error', () => undefined)
    const pass = (channel: number) => (chunk: Uint8Array) => stream.send(Buffer.concat([Uint8Array.of(channel), chunk]))
    started.stdout.on('data', pass(channels.stdout))
    started.stderr.on('data', pass(channels.stderr))
    started.on('error', () =>
      status({
        ...{ kind: 'Status', status: 'Failure', reason: 'InternalError' },
        message: `OCI runtime exec failed: exec failed: unable to start container process: exec: "${program}": executable file not found in $PATH: unknown`,
      }),
    )
    started.once('exit', () => processes.delete(started))
    started.once('close', (code, signal) => {
      if (code === null && signal === null) return
      status(code === 0 ? { kind: 'Status', status: 'Success' } : exitStatus(code ?? 137))
    })
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return self
}

function exitStatus(code: number): object {
  return {
    ...{ kind: 'Status', status: 'Failure', reason: 'NonZeroExitCode' },
    message: `command terminated with non-zero exit code: exit status ${code}`,
    details: { causes: [{ reason: 'ExitCode', message: `${code}` }] },
  }
}

/** What the API answers when it refuses. */
export function failure(status: number, message: string): Refusal {
  return {
    status,
    body: JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code: status }),
  }
}

export interface PodChanges {
  readonly name?: string
  readonly uid?: string
  readonly node?: string
  readonly hostPID?: boolean
  readonly privileged?: readonly string[]
  readonly unprivileged?: readonly string[]
  readonly phase?: string
  readonly ready?: boolean
  readonly deleting?: boolean
  /** The reason why its containers wait. */
  readonly waiting?: string
}

/** A pod as storage drivers have one on each node: a privileged container among others. */
export function runningPod(changes: PodChanges = {}): PodObject {
  const {
    name = 'csi-node-x7k2p',
    uid = `uid-of-${name}`,
    node = 'worker-1',
    hostPID = true,
    phase = 'Running',
  } = changes
  const { privileged = ['driver'], unprivileged = ['registrar', 'liveness-probe'], ready = true } = changes
  return {
    metadata: {
      ...{ name, uid, labels: { app: 'csi-node' } },
      ...(changes.deleting === true ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: {
      ...{ nodeName: node, hostPID },
      containers: [
        ...unprivileged.map((container) => ({ name: container })),
        ...privileged.map((container) => ({ name: container, securityContext: { privileged: true } })),
      ],
    },
    status: {
      phase,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses: [...unprivileged, ...privileged].map((container) => ({
        name: container,
        state: changes.waiting === undefined ? { running: {} } : { waiting: { reason: changes.waiting } },
      })),
    },
  }
}
