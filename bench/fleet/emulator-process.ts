import { startEc2 } from '../../src/testing/ec2/index.ts'
import { idOf } from './run.ts'

// Apart from the process that is measured: what it holds and does is not the library's.
const [count, modifying] = [Number(process.argv[2]), Number(process.argv[3])]
const volumes = Object.fromEntries(Array.from({ length: count }, (_, index) => [idOf(index), { size: 10 }]))
const ec2 = await startEc2({ volumes, modifying })
process.send?.(ec2.url)
process.on('message', () => process.send?.(ec2.calls().total))
process.once('disconnect', () => void ec2.stop())
