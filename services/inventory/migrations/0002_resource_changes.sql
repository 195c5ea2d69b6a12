-- Whoever watches inventory://stock/{sku} hears of a change when it is committed.

create function tell_stock_changed() returns trigger language plpgsql as $$
begin
  perform pg_notify('resource_updated', json_build_object('uri', 'inventory://stock/' || new.sku)::text);
  return null;
end $$;

create trigger stock_changed
  after insert or update of available, restock_date on stock
  for each row execute function tell_stock_changed();
