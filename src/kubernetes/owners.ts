import type { Finding } from '../findings.ts'
import { type KubernetesObject, listAt, recordAt, textAt, valueAt } from './fields.ts'
import type { RefusedClaim } from './refusals.ts'
import { claimLayerId, labelOf } from './sight.ts'

interface Owner {
  readonly what: string
  /** Where to change the size instead. */
  readonly instead: string
  /** Whether it would set the size back, or fail over it, by itself and soon. */
  readonly insists: boolean
}

/** Labels and annotations by which what keeps a claim as it wants it to be is known. */
const marks: readonly (readonly [key: string, what: string, instead: string, insists: boolean])[] = [
  ['argocd.argoproj.io/instance', 'Argo CD application', 'the repository that it is synchronised from', true],
  ['argocd.argoproj.io/tracking-id', 'Argo CD application', 'the repository that it is synchronised from', true],
  ['kustomize.toolkit.fluxcd.io/name', 'Flux Kustomization', 'the repository that it is synchronised from', true],
  ['helm.toolkit.fluxcd.io/name', 'Flux HelmRelease', 'the values of the release', true],
  ['strimzi.io/cluster', 'Strimzi cluster', 'spec.kafka.storage.size of the Kafka resource', true],
  ['cnpg.io/cluster', 'CloudNativePG cluster', 'spec.storage.size of the Cluster resource', true],
  [
    'postgres-operator.crunchydata.com/cluster',
    'Crunchy PostgreSQL cluster',
    'the volume claim spec of the PostgresCluster',
    true,
  ],
  [
    'elasticsearch.k8s.elastic.co/cluster-name',
    'Elasticsearch cluster',
    'the volume claim templates of the Elasticsearch resource',
    true,
  ],
  ['meta.helm.sh/release-name', 'Helm release', 'the values of the release', false],
]

/** Controllers that own claims without caring for their size: they only remove them. */
const indifferent: ReadonlySet<string> = new Set(['StatefulSet', 'Pod', 'VirtualMachine', 'DataVolume'])

/** Field managers that are people, or the cluster itself. */
const ordinaryManager =
  /^(kubectl|kube-controller-manager|kube-apiserver|kubelet|csi-|external-|k9s|lens|node-fetch|unknown|volume-expander)/i
const gitOpsManager = /^(argocd|flux|kustomize-controller|helm-controller|pulumi|terraform|config-sync|fleet)/i

/**
 * Who else decides over the size of the claim: the cluster would show the new size until its owner sets it back. Owner references, labels and annotations, and the
 * manager of the field are looked at.
 */
export function ownerFindings(claim: KubernetesObject, name: RefusedClaim): readonly Finding[] {
  return ownersOf(claim).map(({ what, instead, insists }) => ({
    code: 'owned-elsewhere',
    severity: insists ? 'blocker' : 'warning',
    layer: 'claim',
    target: claimLayerId(name),
    message: `The claim ${labelOf(name)} is managed by the ${what}, which may set its size back or fail over it.`,
    remedy: `Change the size there: ${instead}.${insists ? " Or accept 'owned-elsewhere' and change it there afterwards." : ''}`,
  }))
}

function ownersOf(claim: KubernetesObject): readonly Owner[] {
  const owners: Owner[] = []
  for (const reference of listAt(claim, 'metadata', 'ownerReferences')) {
    const kind = textAt(reference, 'kind') ?? 'object'
    if (indifferent.has(kind)) continue
    const name = textAt(reference, 'name') ?? ''
    const version = textAt(reference, 'apiVersion') ?? ''
    owners.push({ what: `${kind} ${name} (${version})`, instead: `the ${kind} ${name}`, insists: true })
  }
  const labels = recordAt(claim, 'metadata', 'labels')
  const annotations = recordAt(claim, 'metadata', 'annotations')
  for (const [key, what, instead, insists] of marks) {
    const value = labels[key] ?? annotations[key]
    if (typeof value === 'string') owners.push({ what: `${what} ${value}`, instead, insists })
  }
  if (owners.length > 0) return owners
  return listAt(claim, 'metadata', 'managedFields').flatMap((entry): Owner[] => {
    const manager = textAt(entry, 'manager') ?? 'unknown'
    const owns = valueAt(entry, 'fieldsV1', 'f:spec', 'f:resources', 'f:requests', 'f:storage') !== undefined
    if (!owns || ordinaryManager.test(manager)) return []
    const instead = `whatever ${manager} applies`
    return [{ what: `field manager ${manager}`, instead, insists: gitOpsManager.test(manager) }]
  })
}
