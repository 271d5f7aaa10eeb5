# frozen_string_literal: true

# The command line of ../../harness for peers whose own client is Ruby: the same commands, the same jobs, the same line
# of JSON out. What it measures is described there; this file only repeats it.
#
# A peer is an object with
#   open                              connects, makes tables
#   producer                          an object with one(job) and many(jobs), for one thread
#   start_workers(count, handler)     workers that run until the process ends; each job's JSON goes to handler.run
#   batches?                          whether many jobs can be given in one call
#
# Ruby runs one thread of a process at a time: threads here overlap in waiting only, as in any Ruby program.

STARTED = Process.clock_gettime(Process::CLOCK_MONOTONIC)

require "json"

module Race
  FIRST_ID = 1_000_000_000_000_000
  TEXTS = 1_024
  LETTERS = [*"A".."Z", *"a".."z", *"0".."9", "-", "_"].freeze
  FILLERS = 64
  PRODUCERS = 16
  AHEAD = 10_000
  WARM_UP = 0.5
  LAST_START = 5
  NUMBERS = %w[port bytes threads batch workers jobs first].freeze
  DEFAULTS = {
    "dir" => ".", "server" => "", "port" => 0, "bytes" => 200, "threads" => 1, "batch" => 1, "workers" => 16,
    "seconds" => 1.0, "jobs" => nil, "rate" => 200.0, "first" => 0
  }.freeze

  def self.now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  # Makes jobs with rising ids, from several threads; a job is a Hash, its JSON of an exact length.
  class Maker
    def initialize(first, bytes)
      @next = @first = FIRST_ID + first
      @lock = Mutex.new
      random = Random.new(1)
      letters = bytes - JSON.generate("id" => FIRST_ID, "text" => "").bytesize
      @texts = Array.new(TEXTS) { Array.new(letters) { LETTERS[random.rand(64)] }.join }
    end

    def make
      id = @lock.synchronize { (@next += 1) - 1 }
      { "id" => id, "text" => @texts[id % TEXTS] }
    end

    def many(count) = Array.new(count) { make }

    def place(id) = id - @first
  end

  # What a job does: says that it started, then returns, or never does. Runs wherever the peer runs its jobs.
  class Handler
    attr_reader :saw

    def initialize(holds: false, &saw)
      @holds = holds
      @saw = saw
    end

    def run(id)
      saw.call(id, Race.now)
      sleep if @holds
    end

    # The same for a process of its own, which tells this one through a pipe.
    def through(pipe) = Handler.new(holds: @holds) { |id, at| pipe.syswrite("#{id} #{at}\n") }
  end

  # One command of one peer.
  class Command
    def initialize(peer, options)
      @peer = peer
      @options = options
    end

    def enqueue(threads: opt("threads"), batch: opt("batch"))
      @peer.open
      maker = maker()
      shares = opt("jobs") && Array.new(threads) { |at| opt("jobs") / threads + (at < opt("jobs") % threads ? 1 : 0) }
      ready = Queue.new
      go = Queue.new
      spells = Array.new(threads) do |at|
        Thread.new do
          producer = @peer.producer
          ready << true
          go.pop
          spell(producer, maker, batch, shares && shares[at])
        end
      end
      threads.times { ready.pop }
      started = Race.now
      threads.times { go << true }
      spells = spells.map(&:value)
      seconds = Race.now - started
      jobs = spells.sum { |spell| spell[:jobs] }
      calls = spells.flat_map { |spell| spell[:calls] }.sort
      {
        jobs: jobs, seconds: seconds, per_second: jobs / seconds,
        call_p50_us: percentile(calls, 50), call_p99_us: percentile(calls, 99)
      }
    end

    def fill = @peer.batches? ? enqueue(threads: 1, batch: 1_000) : enqueue(threads: FILLERS, batch: 1)

    def accept
      @peer.open
      maker = maker()
      threads = Array.new(opt("threads")) do
        Thread.new do
          producer = @peer.producer
          loop do
            job = maker.make
            producer.one(job)
            $stdout.syswrite("#{job['id']}\n")
          end
        end
      end
      threads.each(&:join)
    end

    def cycle
      maker = maker()
      given = 0
      done = 0
      lock = Mutex.new
      @peer.start_workers(opt("workers"), Handler.new { lock.synchronize { done += 1 } })
      @peer.open
      started = Race.now
      over = -> { opt("jobs") ? done >= opt("jobs") : Race.now - started >= opt("seconds") }
      threads, batch = @peer.batches? ? [1, 1_000] : [PRODUCERS, 1]
      producers = Array.new(threads) do
        Thread.new do
          producer = @peer.producer
          until over.call
            if (opt("jobs") && given >= opt("jobs")) || given >= done + AHEAD
              sleep(0.0002)
              next
            end
            lock.synchronize { given += batch }
            give(producer, maker.many(batch))
          end
        end
      end
      producers.each(&:join)
      seconds = Race.now - started
      { jobs: done, seconds: seconds, per_second: done / seconds }
    end

    def latency
      maker = maker()
      jobs = (opt("rate") * opt("seconds")).to_i
      called = Array.new(jobs)
      answered = Array.new(jobs)
      begun = Array.new(jobs)
      @peer.start_workers(opt("workers"), Handler.new { |id, at| begun[maker.place(id)] ||= at })
      @peer.open
      zero = Race.now + WARM_UP
      arrival = -1
      lock = Mutex.new
      producers = Array.new(PRODUCERS) do
        Thread.new do
          producer = @peer.producer
          while (mine = lock.synchronize { arrival += 1 }) < jobs
            due = zero + mine / opt("rate")
            left = due - Race.now
            sleep(left) if left.positive?
            job = maker.make
            at = maker.place(job["id"])
            called[at] = left.positive? ? Race.now : due
            producer.one(job)
            answered[at] = Race.now
          end
        end
      end
      producers.each(&:join)
      waiting = Race.now
      sleep(0.01) while begun.include?(nil) && Race.now - waiting < LAST_START
      { jobs: jobs, answered_us: micros(called, answered), started_us: micros(called, begun) }
    end

    def hold = print_each(holds: true)

    def drain = print_each(holds: false)

    def recover
      seen = Queue.new
      @peer.start_workers(opt("workers"), Handler.new { |id, at| seen << [id, at] })
      @peer.open
      opened = Race.now
      wanted = opt("jobs") || 1
      ids = {}
      first = all = nil
      until all || Race.now - STARTED > opt("seconds")
        if seen.empty?
          sleep(0.0005)
          next
        end
        id, at = seen.pop
        first ||= at
        ids[id] = true
        all = at if ids.size == wanted
      end
      ms = ->(time) { time && (time - STARTED) * 1e3 }
      { opened_ms: ms.call(opened), first_ms: ms.call(first), all_ms: ms.call(all), seen: ids.size }
    end

    def size
      files = Dir.glob("#{opt('dir')}/**/*", File::FNM_DOTMATCH).select { |path| File.file?(path) }.map { |path| File.stat(path) }
      { file_bytes: files.sum(&:size), disk_bytes: files.sum { |file| file.blocks * 512 }, prepared_bytes: 0 }
    end

    private

    def opt(name) = @options.fetch(name)

    def maker = Maker.new(opt("first"), opt("bytes"))

    def spell(producer, maker, batch, share)
      started = Race.now
      jobs = 0
      calls = []
      while share ? jobs < share : Race.now - started < opt("seconds")
        work = maker.many(share ? [share - jobs, batch].min : batch)
        called = Race.now
        give(producer, work)
        calls << Race.now - called
        jobs += work.size
      end
      { jobs: jobs, calls: calls }
    end

    def give(producer, jobs) = jobs.size == 1 ? producer.one(jobs[0]) : producer.many(jobs)

    def print_each(holds:)
      @peer.start_workers(opt("workers"), Handler.new(holds: holds) { |id, _| $stdout.syswrite("#{id}\n") })
      @peer.open
      sleep
    end

    def percentile(sorted, percent) = sorted.empty? ? nil : sorted[[sorted.size * percent / 100, sorted.size - 1].min] * 1e6

    def micros(from, to) = from.zip(to).filter_map { |called, at| at && [((at - called) * 1e6).to_i, 0].max }
  end

  def self.options(words)
    DEFAULTS.merge(words.each_slice(2).to_h do |name, value|
      name = name.delete_prefix("--")
      value = Integer(value) if NUMBERS.include?(name)
      value = Float(value) if %w[seconds rate].include?(name)
      [name, value]
    end)
  end

  # Runs the command and ends at once, without closing the peer, as a crash would.
  def self.run(words)
    command, *rest = words
    options = options(rest)
    Thread.abort_on_exception = true
    Thread.report_on_exception = false
    answer = Command.new(yield(options), options).public_send(command)
    $stdout.syswrite("#{JSON.generate(answer)}\n")
    children = File.read("/proc/self/task/#{Process.pid}/children").split.map(&:to_i)
    children.each { |pid| Process.kill(:KILL, pid) }
    exit!(0)
  end
end
