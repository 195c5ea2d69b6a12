/** `GET /v1/models` and `/v1/models/:id`: what the stand-in answers for. Paging is read, all fits one page. */

import type { FastifyInstance } from 'fastify'
import { ApiError } from './api-error.ts'
import { findModel, modelInfo, models } from './models.ts'

/** Adds both routes. An unknown id is 404 `not_found_error`. */
export function addModelsRoutes(app: FastifyInstance): void {
  app.get('/v1/models', async () => {
    const data = models.map(modelInfo)
    return {
      data,
      has_more: false,
      first_id: data[0]?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
    }
  })

  app.get<{ Params: { id: string } }>('/v1/models/:id', async ({ params: { id } }) => {
    const model = findModel(id)
    if (model === undefined) throw new ApiError('not_found_error', `model: ${id}`)
    return modelInfo(model)
  })
}
