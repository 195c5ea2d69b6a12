/** The orchestrator's process: environment in, signals handled, nothing else. */
import { runProcess } from '../platform/process.ts'
import { orchestratorConfig, startOrchestrator } from './service.ts'

await runProcess(orchestratorConfig, process.env, startOrchestrator)
