-- Whoever watches shipments://{orderId} hears of a change when it is committed.

create function tell_shipment_changed() returns trigger language plpgsql as $$
begin
  perform pg_notify('resource_updated', json_build_object('uri', 'shipments://' || new.order_id)::text);
  return null;
end $$;

create trigger shipment_changed
  after insert or update of state, refund on shipment
  for each row execute function tell_shipment_changed();
