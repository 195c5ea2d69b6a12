/** The order process. */
import { runProcess } from '../../platform/process.ts'
import { orderConfig, startOrder } from './service.ts'

await runProcess(orderConfig, process.env, startOrder)
