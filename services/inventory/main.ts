/** The inventory process. */
import { runProcess } from '../../platform/process.ts'
import { inventoryConfig, startInventory } from './service.ts'

await runProcess(inventoryConfig, process.env, startInventory)
