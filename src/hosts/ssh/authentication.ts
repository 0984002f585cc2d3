import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { VolumeExpansionError } from '../../errors.ts'
import type { ParsedKey, SshModule } from './client.ts'
import { type Endpoint, nameOf, type SshPrompt } from './options.ts'

/** One method, as ssh2 takes it. */
type Attempt = Readonly<Record<string, unknown>>

interface Method {
  /** The server's name for it. */
  readonly name: 'publickey' | 'password' | 'keyboard-interactive'
  attempt(): Promise<Attempt | undefined>
}

const usualKeys = ['id_ed25519', 'id_ecdsa', 'id_rsa']

type AuthHandler = (
  left: readonly string[] | null,
  partial: boolean | null,
  next: (attempt: Attempt | false) => void,
) => void

/**
 * Offers the methods in the order agent, key, password, keyboard-interactive, each once and only where the server takes it. A secret is asked for when its turn
 * has come.
 *
 * @param failed called with the failure of a callback or of a key that cannot be used
 */
export function authentication(ssh: SshModule, endpoint: Endpoint, failed: (error: unknown) => void): AuthHandler {
  const methods = methodsOf(ssh, endpoint)
  let turn = 0
  const advance = async (left: readonly string[] | null): Promise<Attempt | false> => {
    for (let method = methods[turn]; method !== undefined; method = methods[turn]) {
      turn += 1
      if (left !== null && !left.includes(method.name)) continue
      const attempt = await method.attempt()
      if (attempt !== undefined) return attempt
    }
    return false
  }
  return (left, _partial, next) => {
    advance(left).then(next, (error: unknown) => {
      failed(error)
      next(false)
    })
  }
}

function methodsOf(ssh: SshModule, endpoint: Endpoint): readonly Method[] {
  const { username, given } = endpoint
  const { agent = process.env['SSH_AUTH_SOCK'], privateKey, password, answers } = given
  const methods: Method[] = []
  const key = (attempt: Method['attempt']): void => {
    methods.push({ name: 'publickey', attempt })
  }
  if (typeof agent === 'string' && agent !== '') key(async () => ({ type: 'agent', username, agent }))
  if (privateKey !== undefined) {
    key(async () => {
      const text = typeof privateKey === 'function' ? await privateKey() : privateKey
      const parsed = parse(ssh, text, await given.passphrase?.())
      if (parsed instanceof Error) throw unusableKey(endpoint, parsed)
      return { type: 'publickey', username, key: parsed }
    })
  } else if (password === undefined && answers === undefined) {
    for (const name of usualKeys) key(() => usualKey(ssh, endpoint, join(homedir(), '.ssh', name)))
  }
  if (password !== undefined) {
    methods.push({
      name: 'password',
      attempt: async () => ({ type: 'password', username, password: await password() }),
    })
  }
  if (answers !== undefined) {
    methods.push({
      name: 'keyboard-interactive',
      attempt: async () => ({ type: 'keyboard-interactive', username, prompt: prompter(answers) }),
    })
  }
  return methods
}

async function usualKey(ssh: SshModule, { username, given }: Endpoint, path: string): Promise<Attempt | undefined> {
  const text = await readFile(path).catch(() => undefined)
  if (text === undefined) return undefined
  const parsed = parse(ssh, text, await given.passphrase?.())
  return parsed instanceof Error ? undefined : { type: 'publickey', username, key: parsed }
}

function parse(ssh: SshModule, text: string | Uint8Array, passphrase: string | undefined): ParsedKey | Error {
  const data = typeof text === 'string' ? text : Buffer.from(text)
  const parsed = ssh.utils.parseKey(data, passphrase)
  if (parsed instanceof Error) return parsed
  const key = Array.isArray(parsed) ? (parsed as readonly ParsedKey[])[0] : (parsed as ParsedKey)
  return key?.isPrivateKey() === true ? key : new Error('It is not a private key.')
}

function unusableKey(endpoint: Endpoint, cause: Error): VolumeExpansionError {
  return new VolumeExpansionError(
    'authentication-failed',
    `The private key for ${nameOf(endpoint)} cannot be used: ${cause.message}`,
    {
      ...{ layer: 'host', outcome: 'unchanged', cause },
      remedy: 'Check the key, and for an encrypted one what the callback passphrase returns.',
    },
  )
}

type Prompter = (
  name: string,
  instructions: string,
  language: string,
  prompts: readonly SshPrompt[],
  finish: (answers: readonly string[]) => void,
) => void

function prompter(answers: NonNullable<Endpoint['given']['answers']>): Prompter {
  return (_name, _instructions, _language, prompts, finish) => {
    // Without prompts there is nothing to be asked; a failed callback answers nothing, which the server refuses.
    Promise.resolve(prompts.length === 0 ? [] : answers(prompts)).then(finish, () => finish([]))
  }
}
