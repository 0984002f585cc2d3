export type { AcceptedEc2Mutation } from './account.ts'
export {
  type Ec2Action,
  type Ec2Answer,
  type Ec2Calls,
  type Ec2Emulator,
  type Ec2Options,
  type Ec2Request,
  type Ec2Trouble,
  type Ec2VolumeNow,
  ec2Emulator,
} from './emulator.ts'
export { type Ec2Server, type Ec2ServerOptions, startEc2 } from './server.ts'
export type { Ec2Throttles } from './throttle.ts'
export type { Ec2VolumeType } from './types.ts'
export type { Ec2Attachment, Ec2VolumeOptions } from './volume.ts'
