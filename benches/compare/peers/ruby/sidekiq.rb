# frozen_string_literal: true

# Sidekiq as its documentation has it: `perform_async`, `perform_bulk`, and its own workers with the fetch that comes with
# it. That one takes a job off its list before it runs; to get a dead process's jobs back needs `super_fetch` of Sidekiq Pro.

require_relative "harness"
require "logger"
require "sidekiq"
require "sidekiq/cli"
require "sidekiq/launcher"

class Work
  include Sidekiq::Worker

  class << self
    attr_accessor :handler
  end

  def perform(job) = Work.handler.run(job["id"])
end

class OnRedis
  LOADING = 0.001

  def initialize(options)
    @options = options
    Sidekiq.logger.level = Logger::WARN
    # Else a line for every job: this Redis client is newer than this Sidekiq.
    Redis.silence_deprecations = true
    connections = [options["threads"], Race::FILLERS].max + options["workers"] + 10
    Sidekiq.redis = { url: "redis://127.0.0.1:#{options['port']}", size: connections, pool_timeout: 60 }
  end

  # Waits for a server that is still starting.
  def open
    Sidekiq.redis(&:ping)
  rescue Redis::CannotConnectError, Redis::CommandError
    sleep(LOADING)
    retry
  end

  def batches? = true

  def producer = self

  def one(job) = Work.perform_async(job)

  def many(jobs) = Work.perform_bulk(jobs.map { |job| [job] }, batch_size: jobs.size)

  def start_workers(count, handler)
    open
    Work.handler = handler
    Sidekiq.options.merge!(concurrency: count, queues: ["default"])
    Sidekiq::Launcher.new(Sidekiq.options).run
  end
end

Race.run(ARGV) { |options| OnRedis.new(options) }
