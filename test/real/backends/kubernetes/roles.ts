import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'

type Manifest = { readonly [key: string]: unknown }

export interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
}

export interface RoleOptions {
  readonly user: string
  readonly namespace: string
  /** Left out of the rules, to see that it is missed: `patch persistentvolumeclaims/status`. */
  readonly without?: string
}

/** The roles of examples/kubernetes, for one namespace, bound to one user. */
function roles(file: string, { user, namespace, without }: RoleOptions): readonly Manifest[] {
  const path = fileURLToPath(new URL(`../../../../examples/kubernetes/${file}`, import.meta.url))
  return parseAllDocuments(readFileSync(path, 'utf8')).flatMap((document): Manifest[] => {
    const { kind, rules } = document.toJS() as { readonly kind: string; readonly rules: readonly Rule[] }
    const place = kind === 'Role' ? { namespace } : {}
    // A cluster role is not of the namespace, but the test's.
    const name = `${user}-${namespace}`
    const apiVersion = 'rbac.authorization.k8s.io/v1'
    return [
      { apiVersion, kind, metadata: { name, ...place }, rules: rules.flatMap((rule) => reduced(rule, without)) },
      {
        ...{ apiVersion, kind: `${kind}Binding`, metadata: { name, ...place } },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
      },
    ]
  })
}

function reduced({ apiGroups, resources, verbs }: Rule, without: string | undefined): readonly Rule[] {
  const [verb, resource] = without?.split(' ') ?? []
  return resources
    .map((each) => ({
      ...{ apiGroups, resources: [each] },
      verbs: each === resource ? verbs.filter((candidate) => candidate !== verb) : verbs,
    }))
    .filter((rule) => rule.verbs.length > 0)
}

export const nativeRole = (options: RoleOptions): readonly Manifest[] => roles('role-native.yaml', options)
export const directRole = (options: RoleOptions): readonly Manifest[] => roles('role-direct.yaml', options)
