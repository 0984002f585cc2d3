import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Who somebody is for the API server: the common name is the user, the organisations are the groups. */
export interface Subject {
  readonly name: string
  readonly groups?: readonly string[]
}

export interface Certificate {
  /** Paths of PEM files. */
  readonly cert: string
  readonly key: string
}

/** A certificate authority of one cluster, made by openssl, in a directory of its own. */
export class Authority {
  readonly directory: string

  private constructor(directory: string) {
    this.directory = directory
  }

  static async create(directory: string): Promise<Authority> {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const authority = new Authority(directory)
    await authority.#newKey('ca')
    await authority.#openssl(
      'req',
      '-x509',
      '-new',
      '-key',
      'ca.key',
      '-subj',
      '/CN=lab',
      '-days',
      '30',
      '-out',
      'ca.crt',
    )
    return authority
  }

  /** The authority that was created in this directory before. */
  static in(directory: string): Authority {
    return new Authority(directory)
  }

  get certificate(): string {
    return join(this.directory, 'ca.crt')
  }

  server(name: string): Promise<Certificate> {
    return this.#sign(name, `/CN=${name}`, 'extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n')
  }

  client({ name, groups = [] }: Subject): Promise<Certificate> {
    const organisations = groups.map((group) => `/O=${group}`).join('')
    return this.#sign(fileNameOf(name), `${organisations}/CN=${name}`, 'extendedKeyUsage=clientAuth\n')
  }

  /** A pair of keys for the tokens of service accounts. */
  async serviceAccountKeys(): Promise<{ readonly key: string; readonly publicKey: string }> {
    await this.#openssl('genrsa', '-out', 'service-account.key', '2048')
    await this.#openssl('rsa', '-in', 'service-account.key', '-pubout', '-out', 'service-account.pub')
    return {
      key: join(this.directory, 'service-account.key'),
      publicKey: join(this.directory, 'service-account.pub'),
    }
  }

  async #sign(name: string, subject: string, extensions: string): Promise<Certificate> {
    await this.#newKey(name)
    await writeFile(join(this.directory, `${name}.ext`), extensions)
    await this.#openssl('req', '-new', '-key', `${name}.key`, '-subj', subject, '-out', `${name}.csr`)
    const by = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '30', '-extfile', `${name}.ext`]
    await this.#openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.crt`)
    return { cert: join(this.directory, `${name}.crt`), key: join(this.directory, `${name}.key`) }
  }

  async #newKey(name: string): Promise<void> {
    await this.#openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`)
  }

  async #openssl(...args: readonly string[]): Promise<void> {
    await execute('openssl', args, { cwd: this.directory })
  }
}

/** A kubeconfig of its own for one user, with everything that it needs inside. */
export async function writeKubeconfig(
  path: string,
  server: string,
  authority: Authority,
  { cert, key }: Certificate,
): Promise<string> {
  const data = async (file: string): Promise<string> => (await readFile(file)).toString('base64')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lab', cluster: { server, 'certificate-authority-data': await data(authority.certificate) } }],
    users: [
      { name: 'user', user: { 'client-certificate-data': await data(cert), 'client-key-data': await data(key) } },
    ],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'user' } }],
    'current-context': 'lab',
  }
  // JSON is YAML.
  await writeFile(path, JSON.stringify(config), { mode: 0o600 })
  return path
}

function fileNameOf(name: string): string {
  return name.replace(/[^\w.-]/g, '_')
}
