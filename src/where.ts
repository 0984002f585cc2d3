/** The layers of a volume in use, from below to above; a `claim`, and its PersistentVolume, are what a cluster says of them, and are reported beside them. */
export type LayerKind = 'volume' | 'device' | 'multipath' | 'partition' | 'luks' | 'lvm' | 'filesystem' | 'claim'

/** Where in the stack something is: a layer, or what stands around the layers. */
export type Where = LayerKind | 'request' | 'host' | 'pipeline'
