import EventLoop
import Support
import Testing

@testable import Server

struct ExpiryWatchTests {
  @Test func certificatesAreToldOfAtTheStartAndDaily() {
    let (loop, kernel) = FakePoller.makeLoop()
    let log = LogRecorder()
    let day: Int64 = 86400
    var now: Int64 = 0
    let validities = [
      CertificateValidity(path: "/crt", kind: .certificate, name: "server", begins: 0, ends: 31 * day),
      CertificateValidity(path: "/ca", kind: .authority, name: nil, begins: 0, ends: 1000 * day),
    ]
    let watch = ExpiryWatch(on: loop, logger: log.logger, clock: { now }, validities: { validities })
    #expect(log.take() == [])
    func pass(_ days: Int64) {
      for _ in 0..<days {
        now += day
        kernel.now = kernel.now + ExpiryWatch.interval
        kernel.report([])
        loop.runOnce(wait: .zero)
      }
    }
    pass(1)
    #expect(log.take() == [])
    pass(1)
    #expect(log.take() == ["warning certificate /crt (CN server) expires in 29 days, on 1970-02-01"])
    pass(1)
    #expect(log.take().count == 1)
    pass(28)
    #expect(log.take().last == "warning certificate /crt (CN server) expires in less than a day, on 1970-02-01")
    pass(1)
    #expect(log.take() == ["error certificate /crt (CN server) has expired on 1970-02-01"])
    watch.reportChanges()
    #expect(log.take() == [])
    watch.cancel()
    pass(2)
    #expect(log.take() == [])
  }

  /// What lives for hours does not wait for the next day.
  @Test func anotherStateIsToldOfWithinMinutes() {
    let (loop, _) = FakePoller.makeLoop()
    let log = LogRecorder()
    let hour: Int64 = 3600
    var now: Int64 = 0
    var validities = [
      CertificateValidity(path: "/ocsp", kind: .statusResponse, name: nil, begins: 0, ends: 12 * hour)
    ]
    let watch = ExpiryWatch(on: loop, logger: log.logger, clock: { now }, validities: { validities })
    var told: [String] = []
    for minute in 1...(13 * 60) {
      now = Int64(minute) * 60
      watch.reportChanges()
      told += log.take()
    }
    #expect(
      told == [
        "warning OCSP response /ocsp expires in less than a day, on 1970-01-01",
        "error OCSP response /ocsp has expired on 1970-01-01: it is not sent",
      ])
    validities[0].ends = 24 * hour
    watch.reportChanges()
    #expect(log.take() == [])
    watch.cancel()
  }
}
