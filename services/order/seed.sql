-- Demo data: a small catalogue and customers for every case that rules know. Safe to repeat; what
-- exists already is left as it is. People, streets and e-mail addresses are made up.

insert into product (sku, name, price_cents, weight_grams, discontinued, hs_code, origin_country)
values
  ('ABC123', 'Ceramic mug', 1250, 350, false, '6912.00', 'PT'),
  ('DEF456', 'Oak tray', 4800, 900, false, '4419.90', 'US'),
  ('DEF457', 'Walnut tray', 5200, 950, false, '4419.90', 'US'),
  ('GHI789', 'Linen napkin', 600, 80, false, '6302.59', 'LT'),
  ('JKL012', 'Brass candle holder', 1500, 500, true, '9405.50', 'IN'),
  ('MNO345', 'Stone table', 90000, 41000, false, '9403.89', 'IT'),
  ('PQR678', 'Desk lamp', 60000, 2000, false, '9405.21', 'DK')
on conflict (sku) do nothing;

insert into customer (id, name, email, status, customer_since)
values
  ('john-doe', 'John Doe', 'john.doe@example.com', 'active', '2021-03-14'),
  ('max-mustermann', 'Max Mustermann', 'max.mustermann@example.com', 'active', '2022-09-01'),
  ('ada-li', 'Ada Li', 'ada.li@example.com', 'active', '2024-05-20'),
  ('jane-roe', 'Jane Roe', 'jane.roe@example.com', 'blocked', '2019-11-02'),
  ('sam-smith-1', 'Sam Smith', 'sam.smith@example.com', 'active', '2020-06-30'),
  ('sam-smith-2', 'Sam Smith', 'sam.smith@example.org', 'active', '2023-01-17')
on conflict do nothing;

insert into customer_address
  (customer_id, name, street1, street2, city, region, postal_code, country)
values
  ('john-doe', 'John Doe', '100 Example Street', 'Apt 4', 'Springfield', 'IL', '62701', 'US'),
  ('max-mustermann', 'Max Mustermann', 'Musterstraße 12', null, 'Musterstadt', null, '12345', 'DE'),
  ('jane-roe', 'Jane Roe', '7 Sample Avenue', null, 'Exampleville', 'OR', '97001', 'US'),
  ('sam-smith-1', 'Sam Smith', '21 Placeholder Road', null, 'Sampletown', 'TX', '73301', 'US'),
  ('sam-smith-2', 'Sam Smith', '8 Specimen Lane', null, 'Mockford', 'NY', '12201', 'US')
on conflict (customer_id) do nothing;
