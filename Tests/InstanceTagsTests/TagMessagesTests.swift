import Testing

@testable import InstanceTags

@Suite struct TagMessagesTests {
  private func payload(_ frame: [UInt8]) -> ArraySlice<UInt8> { frame.dropFirst(16) }

  @Test func settingsArriveAsTheyWereSent() throws {
    for source in [
      CredentialSource.given(AWSCredentials(accessKey: "a", secretKey: "s")),
      .given(AWSCredentials(accessKey: "a", secretKey: "s\u{e9}", sessionToken: "t")), .instance("http://127.0.0.1/"),
    ] {
      let settings = TagMessages.Settings(
        endpoint: "https://x/", region: "r", credentials: source, authority: "/ca", timeoutMilliseconds: 10_000,
        parallel: 8, userAgent: "u")
      let frame = payload(TagMessages.frame(settings))
      #expect(try TagMessages.settings(frame) == settings)
      for end in frame.indices {
        #expect(throws: TagMessages.Malformed.self) { try TagMessages.settings(frame[..<end]) }
      }
      #expect(throws: TagMessages.Malformed.self) { try TagMessages.settings(frame + [0]) }
    }
  }

  @Test func answersArriveAsTheyWereSent() throws {
    for (answer, kind) in [
      (TagMessages.Answer.tags(nil), TagMessages.Kind.tags), (.tags([]), TagMessages.Kind.tags),
      (.tags([InstanceTag("a", ""), InstanceTag("b", "c")]), TagMessages.Kind.tags),
      (.failure(TagMessages.Failure(isOfService: true, "why")), TagMessages.Kind.failure),
    ] {
      let frame = payload(TagMessages.frame(answer, to: 7))
      #expect(try TagMessages.answer(kind, frame) == answer)
      for end in frame.indices {
        #expect(throws: TagMessages.Malformed.self) { try TagMessages.answer(kind, frame[..<end]) }
      }
    }
    // A count that the bytes cannot hold.
    let large: [UInt8] = [1, 0, 0, 0, 255, 255, 255, 255]
    #expect(throws: TagMessages.Malformed.self) { try TagMessages.answer(TagMessages.Kind.tags, large[...]) }
    #expect(throws: TagMessages.Malformed.self) { try TagMessages.answer(9, large[...]) }
  }
}
