// Grows every volume of a StatefulSet, one after the other, and stops at the first failure.
//
//     npx tsx examples/grow-statefulset.ts NAMESPACE NAME 200Gi [KUBECONFIG]
//
// Without arguments it does so in a cluster in memory, whose resizer it plays.
import { formatSize } from '../src/index.ts'
import { growStatefulSet, type KubernetesClient } from '../src/kubernetes/index.ts'
import { memoryCluster } from '../src/testing/index.ts'

const [namespace = 'shop', name = 'db', to = '20Gi', kubeconfig] = process.argv.slice(2)
const cluster = process.argv.length > 2 ? (kubeconfig === undefined ? {} : { kubeconfig }) : { client: inMemory() }

const run = growStatefulSet({ namespace, name, to, ...cluster })
for await (const { index, event } of run) {
  if (event.type === 'action-started') console.log(`${index}: ${event.action.summary}`)
}
const { claims, fleet, template } = await run
for (const result of fleet.results) {
  const layers = result.status === 'succeeded' ? result.report.layers : []
  const grown = layers.map(({ before, after }) => `${formatSize(before)} -> ${formatSize(after)}`).join(', ')
  console.log(
    `${claims[result.index]}: ${result.status === 'failed' ? result.error.message : `${result.status} ${grown}`}`,
  )
}
console.log(`The template ${template.name} says ${template.size} (${template.status}). ${template.remedy ?? ''}`)
if (fleet.failed > 0) process.exitCode = 1

function inMemory(): KubernetesClient {
  const memory = memoryCluster()
  const claims = '/api/v1/namespaces/shop/persistentvolumeclaims'
  memory.set('/apis/storage.k8s.io/v1/storageclasses/fast', { allowVolumeExpansion: true })
  memory.set('/apis/apps/v1/namespaces/shop/statefulsets/db', {
    metadata: { name: 'db', namespace: 'shop' },
    spec: {
      replicas: 3,
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { resources: { requests: { storage: '10Gi' } } } }],
    },
  })
  for (const ordinal of [0, 1, 2]) {
    memory.set(`/api/v1/persistentvolumes/pv-${ordinal}`, { spec: { capacity: { storage: '10Gi' } } })
    memory.set(`${claims}/data-db-${ordinal}`, {
      spec: { volumeName: `pv-${ordinal}`, storageClassName: 'fast', resources: { requests: { storage: '10Gi' } } },
      status: { phase: 'Bound', capacity: { storage: '10Gi' } },
    })
  }
  memory.onChange((path) => memory.change(path, { status: { capacity: { storage: to } } }))
  return memory
}
