import {
  DisksClient,
  DiskTypesClient,
  InstancesClient,
  RegionDisksClient,
  RegionOperationsClient,
  SnapshotsClient,
  ZoneOperationsClient,
} from '@google-cloud/compute'
import { GoogleAuth, PassThroughClient } from 'google-auth-library'

/** The official clients, over plain HTTP and without credentials. */
export interface OfficialClients {
  readonly disks: DisksClient
  readonly regionDisks: RegionDisksClient
  readonly zoneOperations: ZoneOperationsClient
  readonly regionOperations: RegionOperationsClient
  readonly diskTypes: DiskTypesClient
  readonly instances: InstancesClient
  readonly snapshots: SnapshotsClient
}

type Options = NonNullable<ConstructorParameters<typeof DisksClient>[0]>

export function officialClients(port: number, projectId: string): OfficialClients {
  const auth = new GoogleAuth({ authClient: new PassThroughClient(), projectId })
  // Its own copy of the authentication library has the same class under another name.
  const options = {
    fallback: true,
    apiEndpoint: '127.0.0.1',
    port,
    protocol: 'http',
    projectId,
    auth,
  } as unknown as Options
  return {
    disks: new DisksClient(options),
    regionDisks: new RegionDisksClient(options),
    zoneOperations: new ZoneOperationsClient(options),
    regionOperations: new RegionOperationsClient(options),
    diskTypes: new DiskTypesClient(options),
    instances: new InstancesClient(options),
    snapshots: new SnapshotsClient(options),
  }
}
