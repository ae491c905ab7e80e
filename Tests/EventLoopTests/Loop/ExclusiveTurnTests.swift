import EventLoop
import Support
import Testing

@Suite struct ExclusiveTurnTests {
  private struct Failure: Error {}

  @Test func workRunsAloneAndInOrderWhateverItThrows() async throws {
    try await LoopDriver.withLoop { loop in
      let turn = ExclusiveTurn()
      var events: [String] = []
      var tasks: [Task<Void, any Error>] = []
      for number in 0..<4 {
        tasks.append(
          Task {
            try await turn.run {
              events.append("begin \(number)")
              await loop.nextIteration()
              await loop.nextIteration()
              events.append("end \(number)")
              if number % 2 == 1 { throw Failure() }
            }
          })
      }
      for (number, task) in tasks.enumerated() {
        let result = await task.result
        #expect((try? result.get()) == nil ? number % 2 == 1 : number % 2 == 0)
      }
      #expect(events == (0..<4).flatMap { ["begin \($0)", "end \($0)"] })
      #expect(await turn.run { 7 } == 7)
    }
  }
}
