-- Whoever watches orders://{orderId} or orders://active hears of a change when it is committed.

create function tell_order_changed() returns trigger language plpgsql as $$
begin
  perform pg_notify('resource_updated', json_build_object('uri', 'orders://' || new.order_id)::text);
  perform pg_notify('resource_updated', json_build_object('uri', 'orders://active')::text);
  return null;
end $$;

create trigger order_changed
  after insert or update of status on sales_order
  for each row execute function tell_order_changed();
