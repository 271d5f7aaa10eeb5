# frozen_string_literal: true

# Delayed Job on PostgreSQL: the table of its generator, one process for each worker as its documentation starts them.
# (On SQLite sixteen processes mostly wait in its busy loop.) Many jobs at once are one `insert_all` of rows that Delayed
# Job has prepared.

require_relative "harness"
require "active_record"
require "delayed_job_active_record"

class Work
  class << self
    attr_accessor :handler
  end

  def initialize(json)
    @json = json
  end

  def perform = Work.handler.run(JSON.parse(@json)["id"])
end

class OnPostgres
  # Seconds that an idle worker sleeps; Delayed Job's own default is 5.
  SLEEP = 0.1

  LOADING = 0.001

  def initialize(options)
    @port = options["port"]
    @connections = [options["threads"], Race::FILLERS].max + 4
    Delayed::Worker.sleep_delay = SLEEP
    Delayed::Worker.logger = nil
    ActiveSupport::Deprecation.silenced = true
  end

  # Waits for a server that is still starting.
  def open
    connect
    with { |db| prepare(db) }
  rescue ActiveRecord::ActiveRecordError
    sleep(LOADING)
    retry
  end

  def batches? = true

  def producer = self

  def one(job)
    with { Delayed::Job.enqueue(Work.new(JSON.generate(job))) }
  end

  def many(jobs)
    rows = jobs.map { |job| row(Work.new(JSON.generate(job))) }
    with { Delayed::Job.insert_all(rows) }
  end

  def start_workers(count, handler)
    open
    # A connection does not outlive a fork.
    ActiveRecord::Base.connection_pool.disconnect!
    told, tell = IO.pipe
    @parent = Process.pid
    count.times { fork { work(handler.through(tell)) } }
    tell.close
    Thread.new do
      told.each_line do |line|
        id, at = line.split
        handler.saw.call(Integer(id), Float(at))
      end
    end
  end

  private

  def connect
    ActiveRecord::Base.establish_connection(
      adapter: "postgresql", host: "127.0.0.1", port: @port, username: "postgres", database: "postgres",
      pool: @connections, checkout_timeout: 60
    )
  end

  def with(&block) = ActiveRecord::Base.connection_pool.with_connection(&block)

  def prepare(db)
    db.execute("SET client_min_messages = warning")
    db.create_table(:delayed_jobs) { |table| columns(table) } unless db.table_exists?(:delayed_jobs)
    db.add_index(:delayed_jobs, %i[priority run_at], name: "delayed_jobs_priority", if_not_exists: true)
  end

  # As Delayed Job's generator writes its migration.
  def columns(table)
    table.integer :priority, default: 0, null: false
    table.integer :attempts, default: 0, null: false
    table.text :handler, null: false
    table.text :last_error
    table.datetime :run_at
    table.datetime :locked_at
    table.datetime :failed_at
    table.string :locked_by
    table.string :queue
    table.timestamps null: true
  end

  def row(payload)
    now = Delayed::Job.db_time_now
    job = Delayed::Job.new(Delayed::Backend::JobPreparer.new(payload).prepare)
    job.attributes.except("id").merge("run_at" => now, "created_at" => now, "updated_at" => now)
  end

  def work(handler)
    Work.handler = handler
    connect
    # Ends with the process that started it.
    Thread.new { sleep(SLEEP) while Process.ppid == @parent; exit!(0) }
    Delayed::Worker.new.start
  end
end

Race.run(ARGV) { |options| OnPostgres.new(options) }
