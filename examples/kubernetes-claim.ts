// Grows a claim of a cluster, whoever does the work there, and says what happens.
//
//     npx tsx examples/kubernetes-claim.ts NAMESPACE NAME 200Gi [KUBECONFIG]
//
// Without arguments it does so in a cluster in memory, whose resizer and kubelet it plays.

import { type Claim, expand, formatSize } from '../src/index.ts'
import { claim } from '../src/kubernetes/index.ts'
import { memoryCluster } from '../src/testing/index.ts'

const [namespace, name, to = '20Gi', kubeconfig] = process.argv.slice(2)

if (namespace === undefined || name === undefined) await grow(claimInMemory())
else {
  // `volumes: [rbd(…)]` and `hosts: (node) => sshHost(…)` let it do the work itself where the cluster cannot.
  await grow(claim({ namespace, name, ...(kubeconfig === undefined ? {} : { kubeconfig }) }))
}

async function grow(target: Claim): Promise<void> {
  const run = expand({ claim: target, to })
  for await (const event of run) {
    if (event.type === 'planned') for (const { message } of event.plan.findings) console.log(`- ${message}`)
    if (event.type === 'action-started') console.log(event.action.summary)
    if (event.type === 'waiting') console.log(`  ${event.reason}`)
  }
  for (const { label, before, after } of (await run).layers) {
    console.log(`${label}: ${formatSize(before)} -> ${formatSize(after)}`)
  }
}

function claimInMemory(): Claim {
  const cluster = memoryCluster()
  const path = '/api/v1/namespaces/shop/persistentvolumeclaims/data'
  cluster.set('/apis/storage.k8s.io/v1/storageclasses/fast', { allowVolumeExpansion: true })
  cluster.set('/api/v1/persistentvolumes/pv-1', {
    spec: { capacity: { storage: '10Gi' }, csi: { driver: 'ebs.csi.aws.com', volumeHandle: 'vol-1' } },
  })
  cluster.set(path, {
    metadata: { name: 'data', namespace: 'shop' },
    spec: { volumeName: 'pv-1', storageClassName: 'fast', resources: { requests: { storage: '10Gi' } } },
    status: { phase: 'Bound', capacity: { storage: '10Gi' } },
  })
  cluster.onChange(() => {
    cluster.change(path, { status: { conditions: [{ type: 'Resizing', status: 'True' }] } })
    setTimeout(() => {
      cluster.change('/api/v1/persistentvolumes/pv-1', { spec: { capacity: { storage: to } } })
      cluster.change(path, {
        status: { capacity: { storage: to }, conditions: [{ type: 'Resizing', $patch: 'delete' }] },
      })
    }, 100)
  })
  return claim({ namespace: 'shop', name: 'data', client: cluster })
}
