package import Monitoring

/// Every metric of the server, in the order of its output. docs/metrics.md is made from here.
package nonisolated enum ServerMetrics {
  // MARK: State

  static let build = Metric(
    "bcfg2_build", .info, labels: ["version", "core"], "Version and core implementation of the server")
  static let ready = Metric(
    "bcfg2_ready", .gauge, "Whether the server answers clients: what /readyz says")
  static let repository = Metric(
    "bcfg2_repository", .info, labels: ["revision"], "Revision of the repository, -1 without a plugin that knows it")
  static let troubles = Metric(
    "bcfg2_repository_troubles", .gauge,
    "Files and folders of the repository that are missing or unreadable; answers are made from what was read before")
  static let changes = Metric(
    "bcfg2_repository_changes", .counter, "Sets of changes of the repository that were applied")
  static let clients = Metric("bcfg2_clients_known", .gauge, "Clients that the Metadata plugin knows")
  static let certificates = Metric(
    "bcfg2_certificate_expiry_timestamp_seconds", .gauge, labels: ["certificate"],
    "When the first of the server's certificates, its CA's, the revocation lists and the OCSP response expires, in seconds since 1970"
  )

  // MARK: Requests

  static let requests = Metric(
    "bcfg2_requests", .counter, labels: ["method", "outcome"],
    "Calls by method and outcome; refused means denied by an ACL; methods of plugins are counted as plugin")
  static let requestTimes = Metric(
    "bcfg2_request_duration_seconds", .histogram, labels: ["method", "outcome"],
    "Time from the call to its answer, without the transfer of either")
  static let refusals = Metric(
    "bcfg2_http_refusals", .counter, labels: ["status"], "Requests refused for what they are, by HTTP status")
  static let limits = Metric(
    "bcfg2_limit_reached", .counter, labels: ["limit"], "How often a limit of [server] was reached, by its option")
  static let badAuthentications = Metric(
    "bcfg2_authentication_failures", .counter, "Requests refused because the client did not authenticate")

  // MARK: Connections

  static let connections = Metric(
    "bcfg2_connections", .gauge, labels: ["state"], "Open connections of clients by what they wait for")
  static let accepted = Metric("bcfg2_connections_accepted", .counter, "Connections that were accepted")
  static let lost = Metric(
    "bcfg2_connections_lost", .counter, "Connections that the client ended within a handshake, a request or an answer")
  static let dropped = Metric(
    "bcfg2_connections_dropped", .counter, "Connections that were closed at once because too many were open")
  static let handshakes = Metric(
    "bcfg2_tls_handshakes", .counter, labels: ["outcome"],
    "TLS handshakes that were done or have failed, and plain HTTP on the TLS port")
  static let received = Metric("bcfg2_received_bytes", .counter, "Bytes of requests, without TLS")
  static let sent = Metric("bcfg2_sent_bytes", .counter, "Bytes of answers, without TLS")
  static let exhausted = Metric(
    "bcfg2_descriptors_exhausted", .counter, "How often descriptors or memory for connections ran out")

  // MARK: Answers

  static let built = Metric("bcfg2_configurations_built", .counter, "Configurations that were built")
  static let kept = Metric(
    "bcfg2_kept_answers_used", .counter, labels: ["answer"], "Answers that were served from the cache")
  static let partsMade = Metric(
    "bcfg2_parts_made", .counter, labels: ["kind"], "Parts of answers that were made, and metadata of clients")
  static let partsUsed = Metric(
    "bcfg2_parts_used", .counter, labels: ["kind"], "Parts of answers that were used again, and metadata of clients")
  static let partsDropped = Metric(
    "bcfg2_parts_dropped", .counter, labels: ["kind"], "Parts of answers that were dropped")
  static let cacheBytes = Metric(
    "bcfg2_cache_bytes", .gauge, labels: ["cache"],
    "Memory of kept answers with their parts, and of results of templates")
  static let cacheLimit = Metric("bcfg2_cache_limit_bytes", .gauge, labels: ["cache"], "Bound of that memory")
  static let cacheEntries = Metric("bcfg2_cache_entries", .gauge, labels: ["cache"], "What is kept")

  // MARK: The process's loop and files

  static let loop = Metric(
    "bcfg2_loop_busy_duration_seconds", .histogram, labels: ["process"],
    "How long iterations of the event loop were busy: what others waited at most; the sum is the busy time")
  static let watches = Metric("bcfg2_file_watches", .gauge, "Folders watched by inotify")
  static let files = Metric("bcfg2_files_monitored", .gauge, "Files that are followed, each once for each plugin")
  static let unwatched = Metric(
    "bcfg2_files_unwatched", .gauge, "Files and folders that cannot be watched, and so are compared at each request")
  static let pendingChanges = Metric(
    "bcfg2_file_changes_pending", .gauge, "Whether changes of files wait to be read")

  // MARK: Helpers

  static let templateProcesses = Metric("bcfg2_template_processes", .gauge, "Renderer processes of templates")
  static let templateStarts = Metric(
    "bcfg2_template_process_starts", .counter, "Renderer processes that were started")
  static let templateFailures = Metric(
    "bcfg2_template_process_failures", .counter, "Renderer processes that failed and were replaced")
  static let rendered = Metric("bcfg2_templates_rendered", .counter, "Templates that were rendered")
  static let renderingsUsed = Metric(
    "bcfg2_template_results_used", .counter, "Results of templates that were used again")
  static let templatesWaiting = Metric(
    "bcfg2_template_batches_waiting", .gauge, "Batches of templates that wait for a renderer process")
  static let packageSources = Metric("bcfg2_package_sources", .gauge, "Package sources of sources.xml")
  static let packageSourcesFailed = Metric(
    "bcfg2_package_sources_failed", .gauge, "Package sources whose last refresh failed, or that had none")
  static let packageRefresh = Metric(
    "bcfg2_package_refresh_oldest_timestamp_seconds", .gauge,
    "When the package source that was refreshed longest ago was, in seconds since 1970")
  static let packageFetching = Metric(
    "bcfg2_package_refresh_running", .gauge, "Whether bcfg2-packages runs for this server")
  static let databaseAvailable = Metric(
    "bcfg2_database_available", .gauge, "Whether the database of [database] is open and answers; only where it is used")
  static let databaseWaiting = Metric(
    "bcfg2_database_waiting", .gauge, "Clients whose checks and changes wait for the database")
  static let databaseTransactions = Metric(
    "bcfg2_database_write_transactions", .counter, "Transactions that changed data of clients")
  static let databaseFailures = Metric(
    "bcfg2_database_failures", .counter, "Statements of the database that failed, each attempt counted")
  static let spoolFiles = Metric("bcfg2_report_spool_files", .gauge, "Files of reports that wait for the database")
  static let spoolBytes = Metric("bcfg2_report_spool_bytes", .gauge, "Bytes of these files")
  static let spoolOldest = Metric(
    "bcfg2_report_spool_oldest_timestamp_seconds", .gauge,
    "When the oldest of these files was begun, in seconds since 1970; none where nothing waits")
  static let reportsDropped = Metric(
    "bcfg2_reports_dropped", .counter, "Reports that were dropped because the spool was full")

  // MARK: Children of the multiprocessing core

  static let children = Metric("bcfg2_children", .gauge, labels: ["state"], "Child processes that build configurations")
  static let childRestarts = Metric("bcfg2_child_restarts", .counter, "Child processes that were restarted")
  static let childHangs = Metric("bcfg2_child_hangs", .counter, "Those of them that did not answer any more")
  static let childQueue = Metric("bcfg2_child_requests_waiting", .gauge, "Configurations that wait for a child process")
  static let ownBuilds = Metric(
    "bcfg2_parent_builds", .counter, "Configurations that the parent built because no child could")
  static let childrenSilent = Metric(
    "bcfg2_children_unheard", .gauge, "Child processes that did not tell their figures in time; earlier ones are used")
  static let childrenCPU = Metric("bcfg2_children_cpu_seconds", .counter, "Processor time of the child processes")
  static let childrenMemory = Metric(
    "bcfg2_children_resident_memory_bytes", .gauge, "Memory of the child processes, shared pages counted for each")
  static let childrenHeap = Metric(
    "bcfg2_children_heap_bytes", .gauge, "Memory that the child processes have allocated and not freed")

  // MARK: Monitoring and the process

  static let pages = Metric(
    "bcfg2_monitoring_requests", .counter, labels: ["status"], "Requests of monitors by HTTP status")
  static let cpu = Metric("process_cpu_seconds", .counter, "Processor time of the server's process")
  static let memory = Metric("process_resident_memory_bytes", .gauge, "Memory of the process")
  static let heap = Metric(
    "process_heap_bytes", .gauge, "Memory that was allocated and not freed: a leak grows here")
  static let virtualMemory = Metric("process_virtual_memory_bytes", .gauge, "Address space of the process")
  static let descriptors = Metric("process_open_fds", .gauge, "Open descriptors of the process")
  static let descriptorLimit = Metric("process_max_fds", .gauge, "Most descriptors of the process")
  static let threads = Metric("process_threads", .gauge, "Threads of the process")
  static let start = Metric(
    "process_start_time_seconds", .gauge, "When the process was started, in seconds since 1970")

  /// Headings of the document, and what belongs there.
  package static let groups: [(title: String, metrics: [Metric])] = [
    ("State", [build, ready, repository, troubles, changes, clients, certificates]),
    ("Requests", [requests, requestTimes, refusals, limits, badAuthentications]),
    (
      "Connections",
      [connections, accepted, lost, dropped, handshakes, received, sent, exhausted]
    ),
    ("Answers", [built, kept, partsMade, partsUsed, partsDropped, cacheBytes, cacheLimit, cacheEntries]),
    ("Event loop and files", [loop, watches, files, unwatched, pendingChanges]),
    (
      "Templates",
      [templateProcesses, templateStarts, templateFailures, rendered, renderingsUsed, templatesWaiting]
    ),
    ("Package sources", [packageSources, packageSourcesFailed, packageRefresh, packageFetching]),
    ("Database", [databaseAvailable, databaseWaiting, databaseTransactions, databaseFailures]),
    ("Reports", [spoolFiles, spoolBytes, spoolOldest, reportsDropped]),
    (
      "Child processes",
      [
        children, childRestarts, childHangs, childQueue, ownBuilds, childrenSilent, childrenCPU, childrenMemory,
        childrenHeap,
      ]
    ),
    (
      "Monitoring and the process",
      [pages, cpu, memory, heap, virtualMemory, descriptors, descriptorLimit, threads, start]
    ),
  ]

  /// All metrics in the order of the output.
  package static let all = groups.flatMap(\.metrics)
}
