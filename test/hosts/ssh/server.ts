import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import ssh2, { type Connection } from 'ssh2'

/** An SSH server within this process that runs commands on this machine, as whoever runs it. */
export interface OwnSshServer {
  readonly port: number
  /** Of its host key, as `SHA256:…`. */
  readonly fingerprint: string
  /** The commands that were asked for. */
  readonly commands: readonly string[]
  close(): Promise<void>
}

export interface Accepted {
  readonly username: string
  readonly password: string
}

export async function startOwnSshServer(accepted: Accepted): Promise<OwnSshServer> {
  const { private: privateKey, public: publicKey } = ssh2.utils.generateKeyPairSync('ed25519')
  const blob = Buffer.from(publicKey.split(' ')[1] ?? '', 'base64')
  const commands: string[] = []
  const connections = new Set<Connection>()
  const children = new Set<ChildProcess>()
  const server = new ssh2.Server({ hostKeys: [privateKey] }, (client) => {
    connections.add(client)
    client.on('error', () => undefined)
    client.on('close', () => connections.delete(client))
    client.on('authentication', (context) => {
      const { method, username } = context
      if (method === 'password' && username === accepted.username && context.password === accepted.password) {
        context.accept()
      } else context.reject(['password'])
    })
    client.on('session', (accept) => {
      accept().on('exec', (acceptExec, _reject, { command }) => {
        commands.push(command)
        const channel = acceptExec()
        // As sshd does it: the shell of the user, in a session of its own.
        const child = spawn('/bin/sh', ['-c', command], { cwd: '/', detached: true, stdio: 'pipe' })
        children.add(child)
        child.stdin.on('error', () => undefined)
        channel.on('error', () => undefined)
        channel.pipe(child.stdin)
        child.stdout.pipe(channel, { end: false })
        child.stderr.pipe(channel.stderr, { end: false })
        channel.on('close', () => child.stdin.end())
        child.on('close', (code) => {
          children.delete(child)
          channel.exit(code ?? 255)
          channel.end()
        })
      })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    fingerprint: `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`,
    commands,
    async close() {
      for (const connection of connections) connection.end()
      for (const child of children) child.stdin?.end()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
