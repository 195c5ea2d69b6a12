-- Whoever watches orders://{orderId} or orders://active hears of a change when it is committed; the
-- client of the order goes along, because nobody else may learn of it.

create function tell_order_changed() returns trigger language plpgsql as $$
begin
  perform pg_notify('resource_updated',
    json_build_object('uri', 'orders://' || new.order_id, 'clientId', new.client_id)::text);
  if tg_op = 'INSERT' or old.status is distinct from new.status then
    perform pg_notify('resource_updated',
      json_build_object('uri', 'orders://active', 'clientId', new.client_id)::text);
  end if;
  return null;
end $$;

create trigger order_changed
  after insert or update of event_seq, status on customer_order
  for each row execute function tell_order_changed();
