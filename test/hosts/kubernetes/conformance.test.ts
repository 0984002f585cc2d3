import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { hostCases } from '../../../src/conformance/index.ts'
import type { Host } from '../../../src/hosts/host.ts'
import { podHost } from '../../../src/hosts/kubernetes/index.ts'
import { hostSetup } from '../../conformance/mutants/hosts.ts'
import { type ApiServer, startApiServer } from '../../lab/kubernetes/api-server.ts'

let server: ApiServer
let directory: string
let host: Host

beforeAll(async () => {
  server = await startApiServer()
  directory = mkdtempSync(join(tmpdir(), 'kubeconfig-'))
  const file = join(directory, 'config')
  writeFileSync(file, server.kubeconfig())
  // It needs no rights: the command that enters the node is left out.
  host = podHost({ namespace: 'storage', node: 'worker-1', selector: 'app=csi-node', config: { file }, entry: [] })
})

afterAll(async () => {
  await host.close?.()
  await server.close()
  rmSync(directory, { recursive: true })
})

describe('podHost, on an API server that runs commands on this machine', () => {
  const cases = hostCases(async () => ({ ...(await hostSetup(host)), secrets: [server.token] }))
  for (const { name, run } of cases) test.concurrent(name, { timeout: 60_000 }, run)
})
