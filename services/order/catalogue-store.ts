/** What the database knows of customers and products. Reads only. */
import type { Db } from '../../platform/db.ts'
import type { Customer, Facts, OrderRequest, Product } from './order-rules.ts'

const productJson = `json_build_object(
  'sku', p.sku, 'name', p.name, 'priceCents', p.price_cents, 'weightGrams', p.weight_grams,
  'discontinued', p.discontinued, 'hsCode', p.hs_code, 'originCountry', p.origin_country)`

const customerJson = `json_build_object(
  'id', c.id, 'name', c.name, 'status', c.status, 'customerSince', c.customer_since,
  'address', case when a.customer_id is not null then json_strip_nulls(json_build_object(
    'name', a.name, 'street1', a.street1, 'street2', a.street2, 'city', a.city,
    'region', a.region, 'postalCode', a.postal_code, 'country', a.country)) end)`

/**
 * The customers that a request may mean and the products that it names, in one round trip.
 *
 * A name matches whatever its capitals. Two customers are enough to know that a name is ambiguous.
 */
export async function findFacts(
  db: Db,
  customer: OrderRequest['customer'],
  skus: readonly string[],
): Promise<Facts> {
  const { id, name, email } = { id: null, name: null, email: null, ...customer }
  const { rows } = await db.query<{ customers: Customer[]; products: Product[] }>(
    `select
       array(
         select ${customerJson}
           from customer c
           left join customer_address a on a.customer_id = c.id
          where c.id = $1
             or (lower(c.name) = lower($2) and ($3::text is null or lower(c.email) = lower($3)))
          order by c.id
          limit 2
       ) as customers,
       array(select ${productJson} from product p where p.sku = any($4)) as products`,
    [id, name, email, skus],
  )
  return rows[0] ?? { customers: [], products: [] }
}

/** One customer; undefined when there is none. */
export async function findCustomer(db: Db, customerId: string): Promise<Customer | undefined> {
  const { customers } = await findFacts(db, { id: customerId }, [])
  return customers[0]
}

/** The products of these skus; unknown ones are absent. */
export async function findProducts(
  db: Db,
  skus: readonly string[],
): Promise<ReadonlyMap<string, Product>> {
  const { rows } = await db.query<{ product: Product }>(
    `select ${productJson} as product from product p where p.sku = any($1)`,
    [skus],
  )
  return new Map(rows.map(({ product }) => [product.sku, product]))
}
