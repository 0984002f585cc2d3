import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** The programs of a control plane, by absolute path. */
export interface Binaries {
  readonly etcd: string
  readonly apiServer: string
  readonly controllerManager: string
}

/** The variable by which Kubernetes' own test tools find such programs. */
const assetsVariable = 'KUBEBUILDER_ASSETS'

/**
 * Finds the programs in the directory that KUBEBUILDER_ASSETS names, and those that it lacks in PATH.
 *
 * @throws when one is in neither, with what a person can do
 */
export async function findBinaries(env: NodeJS.ProcessEnv = process.env): Promise<Binaries> {
  const assets = env[assetsVariable]
  const directories = [
    ...(assets ? [assets] : []),
    ...(env['PATH'] ?? '').split(delimiter).filter((part) => part !== ''),
  ]
  const find = async (name: string): Promise<string> => {
    for (const directory of directories) {
      const path = join(directory, name)
      if (await isProgram(path)) return path
    }
    throw new Error(
      `There is no ${name} in ${assetsVariable} (${assets ?? 'not set'}) or PATH. etcd is in Debian's etcd-server; the others are built from Debian's source by: node scripts/build-kubernetes.mjs DIRECTORY`,
    )
  }
  return {
    etcd: await find('etcd'),
    apiServer: await find('kube-apiserver'),
    controllerManager: await find('kube-controller-manager'),
  }
}

async function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
