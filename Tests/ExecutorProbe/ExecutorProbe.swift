import Databases
import EventLoop
import Glibc
import Logging
import LoopDatabases

/// Uses each way of being asynchronous with the loop as the executor, and prints the number of threads after each.
/// Run by `everythingAsynchronousStaysOnOneThread`; ends with 0 if every line counts one thread.
///
/// With the folder of a PostgreSQL server's socket, a database and a user as arguments it uses only that database.
@main
enum ExecutorProbe {
  private static var worst = 0

  static func main() {
    guard isMainThread() else { exit(2) }
    do throws(SystemError) {
      exit(try Reactor.runAsMain(body))
    } catch {
      print(error)
      exit(2)
    }
  }

  private static func body(_ loop: Reactor) async -> Int32 {
    report("runAsMain")
    let arguments = CommandLine.arguments
    if arguments.count == 4 { return await useDatabase(arguments[1], arguments[2], arguments[3], loop) }

    report("Task", await Task { onLoop() }.value)
    report("Task.detached", await Task.detached { await onLoop() }.value)
    report("detached without isolation", await Task.detached { isMainThread() }.value)

    let start = MonotonicTime.now()
    let isSleepWhole: () -> Bool = { MonotonicTime.now() - start >= .milliseconds(5) }
    report("Task.sleep(for:)", (try? await Task.sleep(for: .milliseconds(5))) != nil && isSleepWhole())
    report("Task.sleep(nanoseconds:)", (try? await Task.sleep(nanoseconds: 1000)) != nil)
    report("Task.sleep(until:)", (try? await Task.sleep(until: .now + .milliseconds(1), clock: .suspending)) != nil)
    report("sleep in detached", await Task.detached { (try? await Task.sleep(for: .milliseconds(1))) != nil }.value)
    let long = Task { try await Task.sleep(for: .seconds(3600)) }
    long.cancel()
    if case .failure = await long.result { report("cancelled Task.sleep") } else { report("cancelled", false) }
    report("Reactor.sleep", (try? await loop.sleep(for: .milliseconds(1))) != nil)
    let sleeper = Task { try await loop.sleep(for: .seconds(3600)) }
    await Task.yield()
    sleeper.cancel()
    if case .failure = await sleeper.result { report("cancelled sleep") } else { report("cancelled sleep", false) }

    let sum = await withTaskGroup(of: Int.self) { group in
      for number in 1...100 { group.addTask { await concurrently(number) } }
      var total = 0
      for await number in group { total += number }
      return total
    }
    report("task group", sum == 5050)

    let (stream, continuation) = AsyncStream.makeStream(of: Int.self)
    Task.detached {
      for number in 1...10 {
        continuation.yield(number)
        await Task.yield()
      }
      continuation.finish()
    }
    var received = 0
    for await number in stream { received += number }
    report("AsyncStream", received == 55)

    report(
      "continuation by a timer",
      await withCheckedContinuation { resumed in
        loop.schedule(after: .milliseconds(1)) { resumed.resume(returning: onLoop()) }
      })
    report(
      "async let",
      await {
        async let one = concurrently(1)
        async let two = concurrently(2)
        return await one + two == 3
      }())
    report("actor", await Counter().next() == 1)

    // Thousands of jobs do not keep a timer from its turn: batches are bounded.
    var isTimerDone = false
    loop.schedule(after: .zero) { isTimerDone = true }
    var turns = 0
    while !isTimerDone && turns < 100_000 {
      await Task.yield()
      turns += 1
    }
    report("timer among jobs", isTimerDone && turns <= 2 * Reactor.jobsPerIteration)

    // A thread that is not ours resumes a task: two threads while it lives, the task on the loop.
    let isBack = await withCheckedContinuation { (resumed: CheckedContinuation<Bool, Never>) in
      foreign = resumed
      var thread = pthread_t()
      pthread_create(&thread, nil, resumeForeign, nil)
      pthread_detach(thread)
    }
    report("resumed by a foreign thread", isBack && onLoop(), threads: 1)
    return worst == 1 ? 0 : 1
  }

  private static func useDatabase(_ folder: String, _ name: String, _ user: String, _ loop: Reactor) async -> Int32 {
    var settings = DatabaseSettings(engine: .postgresql, name: name)
    settings.host = folder
    settings.user = user
    let database = LoopDatabases.open(settings, on: loop, logger: Logger(label: "probe"))
    do throws(DatabaseError) {
      report("statement", try await database.run("SELECT 1").rows == [[1]])
      let results = try await database.run([LoopStatement("SELECT 1"), LoopStatement("SELECT 2")])
      report("transaction", results.map(\.rows) == [[[1]], [[2]]])
    } catch {
      report("\(error)", false)
    }
    database.close()
    report("closed")
    return worst == 1 ? 0 : 1
  }

  private static func onLoop() -> Bool { isMainThread() }

  private static func report(_ step: String, _ isRight: Bool = true, threads: Int? = nil) {
    let count = threads ?? countThreads()
    print("\(count) \(isRight ? "right" : "WRONG") \(step)")
    worst = max(worst, isRight ? count : 99)
  }

  private static func countThreads() -> Int {
    guard let directory = opendir("/proc/self/task") else { return 99 }
    defer { closedir(directory) }
    var count = -2
    while readdir(directory) != nil { count += 1 }
    return count
  }
}

private actor Counter {
  private var value = 0
  func next() async -> Int {
    await Task.yield()
    value += 1
    return value
  }
}

/// Read first on the main thread, in `main`.
private nonisolated let mainThread = pthread_self()

private nonisolated func isMainThread() -> Bool { pthread_equal(mainThread, pthread_self()) != 0 }

@concurrent private nonisolated func concurrently(_ number: Int) async -> Int {
  await Task.yield()
  return isMainThread() ? number : -1000
}

private nonisolated(unsafe) var foreign: CheckedContinuation<Bool, Never>?

private nonisolated func resumeForeign(_: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  foreign?.resume(returning: true)
  return nil
}
