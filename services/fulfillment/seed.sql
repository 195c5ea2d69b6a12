-- Nothing to seed: shipments come from orders alone.
select 1;
