import type { Subject } from './world.ts'
import { cinderSubject } from './worlds/cinder.ts'
import { ebsSubject } from './worlds/ebs.ts'
import { file } from './worlds/file.ts'
import { gcePd } from './worlds/gce-pd.ts'
import { gluster } from './worlds/gluster.ts'
import { heketi } from './worlds/heketi.ts'
import { rbd } from './worlds/rbd.ts'
import { rbdDashboard } from './worlds/rbd-dashboard.ts'
import { scripted } from './worlds/scripted.ts'

/** Every provider, each on a world of its own. */
export const subjects: readonly Subject[] = [
  ...[scripted, file, rbd, rbdDashboard, cinderSubject],
  ...[gluster, heketi, gcePd, ebsSubject],
]
