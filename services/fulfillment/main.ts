/** The fulfillment process. */
import { runProcess } from '../../platform/process.ts'
import { fulfillmentConfig, startFulfillment } from './service.ts'

await runProcess(fulfillmentConfig, process.env, startFulfillment)
