import Core
import EventLoop
import Glibc
import Repository
import Support
import Testing

@testable import Server

/// The multiprocessing core while its repository is missing.
@Suite(.serialized) struct MultiprocessingAwayTests {
  @Test func underLoadEveryAnswerIsWholeWhileTheRepositoryIsAway() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop)
      try await fixture.waitForChildren()
      var whole: [String] = []
      for number in 0..<fixture.clientCount { whole.append(await fixture.configuration(number)) }
      for number in 0..<fixture.clientCount { #expect(fixture.isOwn(whole[number], number)) }
      let repository = fixture.repository.path
      var count = 0
      var wrong: [String] = []
      let load = (0..<6).map { number in
        Task {
          while count < 360 {
            count += 1
            let answer = await fixture.configuration(number)
            if answer != whole[number] { wrong.append(answer) }
            await loop.nextIteration()
          }
        }
      }
      for (number, folder) in ["", "/Cfg", "/Bundler", "/Metadata", "/Probes", ""].enumerated() {
        while count < number * 60 + 10 { await loop.nextIteration() }
        #expect(rename(repository + folder, repository + "-away") == 0)
        // A child that restarts meanwhile has read nothing.
        if number == 5 { for process in fixture.core.childProcesses { kill(process, SIGKILL) } }
        while count < number * 60 + 40 { await loop.nextIteration() }
        #expect(fixture.core.fileMonitor.troubles.count == 1)
        #expect(rename(repository + "-away", repository + folder) == 0)
      }
      for task in load { await task.value }
      #expect(wrong.isEmpty, "\(wrong.first ?? "")")
      #expect(fixture.core.fileMonitor.troubles.isEmpty)
      // Children started meanwhile have read the returned repository.
      try await fixture.waitForChildren()
      let own = fixture.core.ownBuilds
      for number in 0..<fixture.clientCount { #expect(await fixture.configuration(number) == whole[number]) }
      #expect(fixture.core.ownBuilds == own)
      await fixture.stop()
    }
  }
}
