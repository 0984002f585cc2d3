// Makes a Cinder volume larger while a server uses it, with the filesystem on it: nothing is detached, unmounted or restarted.
//
//     npx tsx examples/cinder-online.ts VOLUME_ID USER@HOST[:PORT] PATH SIZE
//
// VOLUME_ID    the volume's UUID in Cinder
// USER@HOST    the server that has it, reached by SSH; anybody but root needs `sudo` without a password there
// PATH         where the filesystem is mounted on the server
// SIZE         the least size of the volume afterwards, such as 200Gi
//
// The cloud is found as users of OpenStack expect: by OS_CLOUD and clouds.yaml, or by OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and so on.
// The SSH key is the agent's or ~/.ssh/id_*, and the server has to be in ~/.ssh/known_hosts; the variables SSH_IDENTITY and KNOWN_HOSTS name other files.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { cinder } from '../providers/cinder/index.ts'
import { sshHost } from '../src/hosts/ssh/index.ts'
import { type ExpansionEvent, expand, formatSize, type Host, VolumeExpansionError } from '../src/index.ts'

const [id, server, path, to, ...tooMany] = process.argv.slice(2)

if (id === undefined || server === undefined || path === undefined || to === undefined || tooMany.length > 0) {
  console.log('Usage: npx tsx examples/cinder-online.ts VOLUME_ID USER@HOST[:PORT] PATH SIZE')
  // To ask what it does is no mistake.
  if (id !== undefined) process.exitCode = 2
} else {
  await grow(id, hostNamed(server), path, to)
}

async function grow(id: string, host: Host, path: string, to: string): Promise<void> {
  try {
    const run = expand({ volume: cinder().volume(id), host, path, to })
    for await (const event of run) show(event)
    const { changed, layers, findings } = await run
    console.log(changed ? 'Done:' : 'It was large enough already:')
    for (const { kind, label, before, after } of layers) {
      console.log(`  ${kind.padEnd(10)}  ${formatSize(before)} -> ${formatSize(after)}  ${label}`)
    }
    for (const { message } of findings) console.log(`  note: ${message}`)
  } catch (error) {
    if (!(error instanceof VolumeExpansionError)) throw error
    console.error(`${error.code}: ${error.message}`)
    if (error.remedy !== undefined) console.error(error.remedy)
    process.exitCode = 1
  } finally {
    await host.close?.()
  }
}

function hostNamed(name: string): Host {
  const { username, hostname, port } = new URL(`ssh://${name}`)
  const { SSH_IDENTITY: identity, KNOWN_HOSTS: knownHosts } = process.env
  return sshHost({
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    ...(port === '' ? {} : { port: Number(port) }),
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(identity === undefined ? {} : { privateKey: () => readFileSync(identity) }),
    ...(knownHosts === undefined ? {} : { knownHosts: { files: [resolve(knownHosts)] } }),
    sudo: username !== 'root',
  })
}

function show(event: ExpansionEvent): void {
  const at = `${(event.elapsed / 1000).toFixed(1).padStart(6)} s `
  switch (event.type) {
    case 'planned':
      for (const { summary } of event.plan.actions) console.log(`${at} to do: ${summary}`)
      break
    case 'warning':
      console.log(`${at} note: ${event.finding.message}`)
      break
    case 'waiting':
      console.log(`${at} waiting: ${event.reason}`)
      break
    case 'action-started':
      console.log(`${at} ${event.action.summary}`)
      break
    case 'action-finished':
      console.log(`${at} finished${event.size === undefined ? '' : `, at ${formatSize(event.size)}`}`)
      break
  }
}
