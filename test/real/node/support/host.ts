import { readFileSync } from 'node:fs'
import { sshHost } from '../../../../src/hosts/ssh/index.ts'
import type { Host } from '../../../../src/index.ts'
import type { GuestAddress } from '../../../lab/node/shell.ts'

/** The library's way to the node, as root. */
export function hostAt({ host, port, identity, knownHosts }: GuestAddress): Host {
  return sshHost({
    ...{ host, port, username: 'root', agent: false, knownHosts: { files: [knownHosts] } },
    privateKey: () => readFileSync(identity),
  })
}
