/**
 * Stock held for orders. The header of an `(orderId, round)` is the first row that any of these
 * transactions touches, stock rows follow in the order of their sku: nothing can deadlock, and a
 * concurrent repeat waits for the first and then finds what it did.
 */
import { inTransaction, type Pool, type Tx } from '../../platform/db.ts'
import { rejected } from '../../platform/errors.ts'
import { type Line, mergeLines, shortLines } from './stock-rules.ts'

/** The effect key: one reservation, whatever repeats. */
export interface ReservationKey {
  readonly orderId: string
  readonly round: number
}

interface Reservation {
  readonly state: 'held' | 'released' | 'committed'
  readonly lines: Line[]
}

/**
 * Holds stock for every line of one round of an order, or for none of them. Five round trips,
 * however many lines. Answers with the lines held, one a sku.
 *
 * Safe to repeat: the same lines get the same answer, even when they were committed meanwhile.
 *
 * @throws rejected `out_of_stock`; `details.lines` names every line that is short.
 * @throws rejected `reservation_released` when an undo came first.
 * @throws rejected `reservation_changed` when other lines were held under the same key.
 */
export async function holdStock(
  pool: Pool,
  key: ReservationKey,
  wanted: readonly Line[],
): Promise<Line[]> {
  const lines = mergeLines(wanted)
  return inTransaction(pool, async (tx) => {
    if (!(await openReservation(tx, key, 'held'))) return heldBefore(tx, key, lines)

    const short = shortLines(lines, await lockStock(tx, lines))
    if (short.length > 0) throw outOfStock(short)
    await tx.query(
      `with line as (
         select sku, quantity from unnest($3::text[], $4::int[]) as l (sku, quantity)
       ),
       taken as (
         update stock s
            set available = s.available - line.quantity,
                held = s.held + line.quantity
           from line
          where s.sku = line.sku
       )
       insert into reservation_line (order_id, round, sku, quantity)
       select $1, $2, sku, quantity from line`,
      [key.orderId, key.round, lines.map((line) => line.sku), lines.map((line) => line.quantity)],
    )
    return lines
  })
}

/**
 * Gives back what one round of an order holds. Answers with the lines that it held.
 *
 * Succeeds when nothing was reserved, and leaves a tombstone that refuses a reserve that comes
 * later. Safe to repeat.
 *
 * @throws rejected `already_committed`: the goods are gone.
 */
export async function releaseStock(pool: Pool, key: ReservationKey): Promise<Line[]> {
  return inTransaction(pool, async (tx) => {
    if (await openReservation(tx, key, 'released')) return []

    const { state, lines } = await lockReservation(tx, key)
    if (state === 'committed') {
      throw rejected('already_committed', `The goods of order ${key.orderId} have left stock`, {
        next: 'Nothing can be released any more; book returned goods with set_stock.',
      })
    }
    if (state === 'held') {
      await lockStock(tx, lines)
      await tx.query(
        `with given_back as (
           update stock s
              set available = s.available + l.quantity,
                  held = s.held - l.quantity
             from reservation_line l
            where l.order_id = $1 and l.round = $2 and s.sku = l.sku
         )
         update reservation set state = 'released', changed_at = now()
          where order_id = $1 and round = $2`,
        [key.orderId, key.round],
      )
    }
    return lines
  })
}

/**
 * Takes what one round of an order holds out of stock for good. Answers with its lines. Safe to
 * repeat.
 *
 * @throws rejected `not_reserved` when nothing is held, be it never or no more.
 */
export async function commitStock(pool: Pool, key: ReservationKey): Promise<Line[]> {
  return inTransaction(pool, async (tx) => {
    const reservation = await findReservation(tx, key)
    if (reservation === undefined || reservation.state === 'released') {
      throw rejected('not_reserved', `No stock is held for order ${key.orderId}`, {
        next: 'Reserve stock in a new round first.',
      })
    }
    const { state, lines } = reservation
    if (state === 'held') {
      await lockStock(tx, lines)
      await tx.query(
        `with gone as (
           update stock s
              set held = s.held - l.quantity,
                  committed = s.committed + l.quantity
             from reservation_line l
            where l.order_id = $1 and l.round = $2 and s.sku = l.sku
         )
         update reservation set state = 'committed', changed_at = now()
          where order_id = $1 and round = $2`,
        [key.orderId, key.round],
      )
    }
    return lines
  })
}

/** Insert first: a concurrent writer of this key waits here until the other has committed. */
async function openReservation(
  tx: Tx,
  { orderId, round }: ReservationKey,
  state: 'held' | 'released',
): Promise<boolean> {
  const inserted = await tx.query(
    `insert into reservation (order_id, round, state)
     values ($1, $2, $3)
     on conflict (order_id, round) do nothing`,
    [orderId, round, state],
  )
  return inserted.rowCount === 1
}

async function heldBefore(tx: Tx, key: ReservationKey, wanted: readonly Line[]): Promise<Line[]> {
  const { state, lines } = await lockReservation(tx, key)
  if (state === 'released') {
    throw rejected('reservation_released', `Stock of order ${key.orderId} was released before`, {
      next: 'Reserve in a new round.',
    })
  }
  if (!sameLines(lines, wanted)) {
    throw rejected('reservation_changed', `Order ${key.orderId} holds other lines already`, {
      next: 'Repeat the lines of the first call, or reserve in a new round.',
      details: { lines },
    })
  }
  return lines
}

async function lockReservation(tx: Tx, key: ReservationKey): Promise<Reservation> {
  const reservation = await findReservation(tx, key)
  if (reservation === undefined) throw new Error(`Reservation of ${key.orderId} has vanished`)
  return reservation
}

/** Locks the header; its lines need no lock, they are never changed. */
async function findReservation(
  tx: Tx,
  { orderId, round }: ReservationKey,
): Promise<Reservation | undefined> {
  const { rows } = await tx.query<Reservation>(
    `select r.state,
            array(select json_build_object('sku', l.sku, 'quantity', l.quantity)
                    from reservation_line l
                   where l.order_id = r.order_id and l.round = r.round
                   order by l.sku) as lines
       from reservation r
      where r.order_id = $1 and r.round = $2
        for update of r`,
    [orderId, round],
  )
  return rows[0]
}

/** Locks the stock rows of the lines, in the order of their sku, and reads what is free. */
async function lockStock(tx: Tx, lines: readonly Line[]): Promise<Map<string, number>> {
  const { rows } = await tx.query<{ sku: string; available: number }>(
    `select sku, available
       from stock
      where sku = any($1)
      order by sku
        for no key update`,
    [lines.map((line) => line.sku)],
  )
  return new Map(rows.map(({ sku, available }) => [sku, available]))
}

/** Both are merged and sorted by sku. */
function sameLines(a: readonly Line[], b: readonly Line[]): boolean {
  return (
    a.length === b.length &&
    a.every((line, i) => line.sku === b[i]?.sku && line.quantity === b[i]?.quantity)
  )
}

function outOfStock(lines: ReturnType<typeof shortLines>) {
  const skus = lines.map((line) => line.sku).join(', ')
  return rejected('out_of_stock', `Not enough stock of ${skus}`.slice(0, 500), {
    next: 'Order fewer units, wait for new stock, or choose a substitute (see check_inventory).',
    details: { lines },
  })
}
