-- Rounds after the first, resumes, and a phase of its own for an end that undoes.
--
-- phase        `committed` says: past the pivot, only forward. `ending` says: what was done is undone,
--              a cancel comes too late. Both come from `open`; `cancelling` is the third way out.
-- resumes      how often a person has sent this round on after it was stuck.
-- is_started   whether the present run has written an event. A run that was asked for and of which
--              nothing was heard for a while is started again.
-- requested_at when the present run was asked for.
-- approval     what a person approved for this round: the plan that the round runs, exactly.

alter table customer_order drop constraint customer_order_phase_check;
alter table customer_order add constraint customer_order_phase_check
  check (phase in ('open', 'committed', 'ending', 'cancelling', 'closed'));

alter table customer_order
  add column resumes      int not null default 0 check (resumes between 0 and 100),
  add column is_started   boolean not null default false,
  add column requested_at timestamptz not null default now(),
  add column approval     jsonb;

update customer_order set is_started = event_seq > 0, requested_at = created_at;

drop index customer_order_running;
create index customer_order_running on customer_order (requested_at) where status = 'running';
create index customer_order_stuck on customer_order (created_at) where status = 'stuck';
