//! Every fault that can be planted: what it breaks, and the lane that sees it.

/// Declares [`Fault`] from the table: `Name: "what it breaks", LANE;`.
macro_rules! faults {
    ($($name:ident: $breaks:literal, $lane:expr;)*) => {
        /// A fault that can be planted; hooks name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Fault {
            $(#[doc = $breaks] $name,)*
        }

        impl Fault {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            pub(crate) fn named(name: &str) -> Self {
                let known = Self::ALL.iter().find(|fault| fault.name() == name);
                *known.unwrap_or_else(|| panic!("{name}: no such fault"))
            }

            /// The promise or rule it breaks, in words.
            pub(crate) fn breaks(self) -> &'static str {
                match self { $(Self::$name => $breaks),* }
            }

            /// The test that fails with it.
            pub(crate) fn lane(self) -> &'static str {
                match self { $(Self::$name => $lane),* }
            }
        }
    };
}

/// Seen by a lane that takes its time, or that has to wait for what never comes: planted with `BACKLOG_EFFORT=full`.
pub(super) const SLOW: &[Fault] = &[
    Fault::AsyncWakerDropped,
    Fault::WakerPanicEndsCommitter,
    Fault::WakeShortOfTheMark,
    Fault::PoisonForgetsWaiters,
    Fault::LazySyncForgotten,
    Fault::ReachedSilently,
    Fault::GivenBackSilently,
    Fault::PromotedSilently,
    Fault::MadeSilently,
    Fault::MakerStopsShort,
    Fault::StopForgetsSleepers,
    Fault::KeeperWaitsForEver,
    Fault::TurnEndsSilently,
    Fault::PanicIsSuccess,
    Fault::SignalUnheard,
    Fault::SecondSignalUnheard,
    Fault::StopDoesNotNudge,
    Fault::FollowUpsForgotten,
    Fault::PolicyIgnored,
    Fault::CrcSkipsHeader,
    Fault::CrcSkipsRecordHeaders,
    Fault::EnqueueTakesReserve,
    Fault::FullModeUnseen,
    Fault::TotalsMissingAtTheHead,
    Fault::TrimMarkNotKept,
    Fault::CarriedCountsAsNew,
    Fault::TrimmedGoAtOnce,
    Fault::ChangedLeafForgotten,
    Fault::RemovalsNotWritten,
    Fault::HoledIndexTrusted,
    Fault::BadFolderKept,
    Fault::OpeningUnmarked,
    Fault::CarriedNotAsItStands,
    Fault::CheckpointBeforeDurable,
    Fault::CheckpointAtDurable,
    Fault::ClosedFrameVouchesBlindly,
    Fault::CellsOfAckForgotten,
    Fault::BatchLimitOffByOne,
    Fault::MetaBeforeFlush,
    Fault::OldVersionsGoFirst,
    Fault::GraceWakesNobody,
];

faults! {
    CellsNotCompared: "a frame that was decided on a cell goes out although the cell was set since",
        "engine::tests::conditional::of_several_who_read_the_same_cell_one_writes";
    FiringInTwoFrames: "periodic: a firing's job and the cell that says so are two frames",
        "cron::tests::crash::a_crash_anywhere_around_a_firing_leaves_one_job_of_it";
    DeployForgetsFirings: "periodic: an entry that is declared again begins anew",
        "cron::tests::sets::a_restart_neither_repeats_nor_loses_a_firing";
    RemovedEntriesStay: "periodic: an entry that is not declared any more stays",
        "cron::tests::sets::an_entry_goes_when_its_set_is_declared_without_it_and_no_other_set_is_touched";
    ClockBackUnseen: "rule 16: a firing stored for years ahead keeps an entry silent",
        "cron::tests::clocks::a_clock_that_was_ten_years_ahead_silences_no_entry";
    MissedHoldsUpTheStart: "rule 10: on a full disk the workers that would free it do not start",
        "cron::tests::full::on_a_full_disk_a_pool_starts_and_what_it_missed_fires_when_there_is_room";
    HoursAlwaysNamed: "periodic: an entry of every quarter of an hour rests while an hour comes twice",
        "cron::tests::times::hours_that_are_counted_go_by_the_time_that_passes";
    SkipRunsWhatWasMissed: "periodic: an entry that skips what was missed runs it",
        "cron::tests::policies::skip_runs_nothing_that_is_more_than_a_minute_late";
    AckBeforeSync: "P1: an answer goes out before its sync",
        "engine::tests::promises::p1_what_enqueue_acknowledged_survives_a_power_cut";
    AckAfterPush: "P1: an answer goes out when its record is written, not synced",
        "engine::tests::promises::p1_what_enqueue_acknowledged_survives_a_power_cut";
    AsyncAckBeforeSync: "P1: a future is ready before its sync",
        "engine::tests::waiting::a_task_is_ready_only_behind_its_sync_and_is_woken_by_it";
    BufferedAckBeforeWrite: "P1: a buffered answer goes out before its write",
        "engine::tests::promises::p1_what_was_only_buffered_survives_the_process_but_not_the_power";
    AsyncWakerDropped: "rule 8: the waker of a task is dropped unused",
        "engine::tests::waiting::a_task_is_ready_only_behind_its_sync_and_is_woken_by_it";
    WakerPanicEndsCommitter: "rule 8: a panic in a waker reaches the committer",
        "engine::tests::waiting::a_waker_that_panics_harms_nobody_else";
    WakeShortOfTheMark: "rule 8: who waits for exactly the synced position is not woken",
        "engine::tests::waiting::a_thread_that_waits_for_exactly_the_synced_position_is_woken";
    PoisonForgetsWaiters: "rule 8: a failed sync leaves its waiters asleep",
        "engine::tests::waiting::a_failed_sync_answers_everyone_who_waits";
    LazySyncForgotten: "P1: what was buffered is never synced by itself",
        "engine::tests::waiting::what_was_buffered_is_synced_by_itself_when_a_second_has_passed";
    SealNotSynced: "a segment is sealed without a sync",
        "log::tests::recover::a_prepared_segment_whose_name_was_only_in_the_cache_is_not_built_on";
    SealSyncsTheNext: "at a rotation the wrong file is synced",
        "log::tests::recover::a_prepared_segment_whose_name_was_only_in_the_cache_is_not_built_on";
    PoisonUncheckedAfterSync: "P7: a sync is told although a write failed beside it",
        "log::tests::commit::a_write_that_fails_during_a_sync_takes_its_acknowledgement_along";
    SyncCoversLaterWrites: "P1: a sync is told for what was written while it ran",
        "log::tests::commit::a_sync_covers_what_was_written_before_it_and_nothing_that_was_written_during_it";
    ChunkOrderUnchecked: "chunks out of order are written",
        "log::tests::commit::chunks_out_of_order_are_refused";
    SyncErrorIgnored: "P7: a failed sync is taken for a good one",
        "engine::tests::promises::p7_the_first_failed_sync_poisons_the_handle_and_nothing_is_acknowledged_after_it";
    SyncRetried: "P7: a failed sync is tried again",
        "engine::tests::promises::p7_the_first_failed_sync_poisons_the_handle_and_nothing_is_acknowledged_after_it";
    DirSyncTakenForFull: "a failed directory sync is taken for a full disk",
        "log::tests::make::a_failed_directory_sync_is_not_a_full_disk_and_publishes_nothing";
    ErrorDoesNotPoison: "P7: an error of the commit path does not poison",
        "engine::tests::promises::p7_the_first_failed_sync_poisons_the_handle_and_nothing_is_acknowledged_after_it";
    PanicDoesNotPoison: "P7: a panic in a push does not poison",
        "log::tests::commit::a_panic_inside_a_push_poisons";
    DurableFieldTooHigh: "P8: a frame vouches for what was not synced",
        "log::tests::recover::a_closed_frame_that_vouches_for_less_than_everything_is_no_clean_close";
    EnqueueTakesReserve: "rule 10: new work takes the reserve",
        "engine::tests::full::p11_a_disk_full_at_every_step_of_room_refuses_new_work_and_ends_what_it_accepted";
    ClosingTakesTheLast: "rule 10: closing records take the segment that compaction needs",
        "log::tests::stage::the_last_two_prepared_segments_are_kept_for_closing_records_and_the_last_for_compaction";
    SealRoomForgotten: "a frame takes the room of the seal",
        "engine::tests::promises::p10_the_log_settles_within_its_bound_and_one_old_job_never_pins_it";
    SealMissing: "a segment ends without a seal",
        "engine::tests::promises::p10_the_log_settles_within_its_bound_and_one_old_job_never_pins_it";
    CrcSkipsHeader: "the CRC of a frame leaves its header out",
        "log::tests::damage::every_flipped_bit_of_a_small_log_is_reported_or_an_unvouched_tail";
    CrcUnsalted: "an old frame of a recycled segment verifies",
        "log::tests::parsing::a_frame_of_an_earlier_life_of_the_file_never_parses";
    CrcSkipsRecordHeaders: "the CRC of a frame leaves record headers out",
        "log::tests::damage::a_tail_torn_at_any_byte_ends_at_the_last_whole_frame";
    BodyCrcUnchecked: "P8: the CRC of a record body is not looked at",
        "engine::tests::promises::p8_damage_in_the_vouched_part_is_reported_with_file_and_offset";
    ZeroRecordAccepted: "a record of zeros is accepted",
        "log::tests::parsing::headers_that_verify_but_make_no_sense_are_refused";
    PaddingUnchecked: "padding that is not zero is accepted",
        "log::tests::damage::a_tail_torn_at_any_byte_ends_at_the_last_whole_frame";
    PositionUnchecked: "a frame is accepted at another position than its own",
        "log::tests::parsing::a_frame_of_an_earlier_life_of_the_file_never_parses";
    VersionUnchecked: "a frame of an unknown version is read as if it were known",
        "log::tests::parsing::headers_that_verify_but_make_no_sense_are_refused";
    AnotherRecordAccepted: "P8: another record than the one looked for is handed out",
        "log::tests::commit::a_read_at_a_wrong_place_is_corruption_and_takes_no_neighbour_along";
    LoneRecordUnchecked: "P8: a record read by its place is not held against its CRC",
        "log::tests::commit::a_record_read_by_its_place_is_held_against_its_checksum";
    BadCrcEndsTheLog: "P8: damage in the vouched part is taken for a torn tail",
        "engine::tests::promises::p8_damage_in_the_vouched_part_is_reported_with_file_and_offset";
    BadCrcEndsTheWalk: "P8: damage in a sealed segment is taken for its end",
        "log::tests::damage::an_older_copy_of_a_sealed_segment_is_reported";
    RemovalDoesNotVouch: "rule 5: what a removal vouches for is not seen beside an owner",
        "log::tests::recover::a_reader_beside_a_resting_owner_sees_all_that_a_removal_needed_to_be_durable";
    CleanInSpiteOfRemains: "a clean close counts although frames were torn behind it",
        "log::tests::recover::frames_torn_behind_a_clean_close_are_never_revived";
    VouchInTheTailUnseen: "P8: a frame behind the torn part vouches for nothing",
        "log::tests::recover::a_torn_tail_is_cut_and_its_remains_never_join_later_frames";
    LeavingTakesReserve: "rule 10: an open after a crash seals its tail though only the reserve is prepared",
        "log::tests::recover::a_torn_tail_is_cut_and_its_remains_never_join_later_frames";
    ReplacedKeepsItsSteps: "a job that takes another's place is given the steps that one has done",
        "engine::tests::takeover::an_enqueue_that_replaces_leaves_nothing_of_what_the_runs_before_it_kept";
    EveryTailIsLeft: "P10: crash after crash leaves a segment that is nearly empty",
        "engine::tests::reopen::lives_that_do_next_to_nothing_leave_the_state_right_and_the_directory_flat_however_many_they_are";
    LeftTailWrittenOn: "rule 4: a tail that is to be left, and is not zeroed, is written on",
        "log::tests::recover::where_more_than_the_reserve_is_prepared_a_torn_tail_is_sealed_and_never_written_to_again";
    TailReusedInPlace: "rule 4: the tail is not zeroed before it is used again",
        "log::tests::recover::a_torn_tail_is_cut_and_its_remains_never_join_later_frames";
    TailNotRewritten: "rule 4: what only the page cache shows is not written again",
        "log::tests::recover::a_clean_close_is_told_and_nothing_is_zeroed_after_it";
    RepairNotSynced: "rule 4: a repaired tail is not synced",
        "log::tests::recover::a_close_that_was_not_synced_counts_only_once_it_is_made_true";
    SealedTailNotRewritten: "rule 4: a segment behind an unvouched seal is not made true",
        "log::tests::recover::a_seal_whose_sync_failed_is_made_true_before_the_next_segment_is_used";
    OpenNoDirSync: "rule 4: opening does not sync the directory",
        "engine::tests::narrow::rule_4_after_an_open_every_name_of_the_log_is_durable";
    LeftoverKept: "a leftover temporary file is not cleared",
        "log::tests::damage::leftovers_do_not_block_opening_and_are_cleared";
    TrimmedGoAtOnce: "rule 5: leftovers of removed segments go without syncs between them",
        "engine::tests::narrow::rule_4_after_an_open_every_name_of_the_log_is_durable";
    MakerNoDirSync: "a segment is used before its name is durable",
        "engine::tests::rules::pause_and_resume_are_durable";
    RemovalNoDirSync: "rule 1: a removal is not durable before the next",
        "engine::tests::narrow::rule_1_a_removed_segment_is_durably_gone_before_the_next_one_goes";
    SurplusNoDirSync: "surplus segments go without syncs between them",
        "log::tests::make::each_surplus_segment_is_durably_gone_before_the_next";
    SaltRepeats: "every use of a file has the same salt",
        "log::tests::recover::a_reader_is_told_when_its_segment_was_recycled";
    NewSegmentNotSynced: "a new segment gets its name before its bytes are durable",
        "log::tests::recover::a_fresh_directory_begins_with_segment_1_and_a_prepared_one";
    RecycledNotSynced: "a recycled segment gets its name before its header is durable",
        "log::tests::make::old_frames_of_a_recycled_segment_never_come_back";
    DebrisForgotten: "a half-made file stays under a segment's name",
        "log::tests::make::a_failed_directory_sync_is_not_a_full_disk_and_publishes_nothing";
    RemovesAnySegment: "another segment than the oldest may be removed",
        "log::tests::make::a_removal_that_failed_goes_on_where_it_stopped_and_its_file_is_not_used_before";
    RecycledStillRead: "a removed segment is still read",
        "log::tests::make::a_removal_that_failed_goes_on_where_it_stopped_and_its_file_is_not_used_before";
    TrimMarkUnchecked: "rule 5: a segment missing behind the trim mark goes unnoticed",
        "log::tests::damage::a_missing_segment_is_reported";
    CheckpointVouchUnchecked: "rule 5: a log shorter than a checkpoint knew it goes unnoticed",
        "log::tests::damage::an_older_copy_of_the_last_segment_is_reported_where_a_checkpoint_vouches";
    ShortFileAccepted: "P8: a segment cut short is taken for whole",
        "log::tests::damage::a_segment_cut_short_is_reported";
    ForeignSegmentAccepted: "P8: a segment of another log is taken for ours",
        "log::tests::damage::a_segment_of_another_log_is_reported";
    MisnamedSegmentAccepted: "P8: a segment under another's name is taken for that one",
        "log::tests::damage::two_swapped_segments_are_reported";
    HeaderCrcUnchecked: "P8: the CRC of a header block is not looked at",
        "log::tests::damage::a_damaged_header_of_a_segment_in_use_is_reported";
    VerifyStopsAtTheFirst: "verify does not go on behind damage",
        "log::tests::damage::verify_lists_every_damage_and_goes_on_behind_it";
    VerifyBlamesTheTail: "verify takes a torn tail for damage",
        "log::tests::damage::verify_lists_every_damage_and_goes_on_behind_it";
    CancelWishIgnored: "rule 20: a job that was cancelled while it ran runs again",
        "engine::tests::rules::rule_20_a_cancelled_running_job_is_cancelled_at_any_end_but_an_ack";
    CrashNotCounted: "rule 11: a crash is not counted with the job it interrupted",
        "engine::tests::promises::p6_grants_are_counted_exactly_after_a_process_crash";
    AttemptNotCountedOnCrash: "P6: a crash gives the attempt back",
        "engine::tests::promises::p6_grants_are_counted_exactly_after_a_process_crash";
    LastAttemptAgain: "rule 12: a job interrupted in its last attempt runs once more",
        "engine::tests::rules::rule_12_a_last_attempt_stays_the_last";
    OneAttemptTooMany: "C7: a job gets one attempt more than it may spend",
        "engine::tests::invariants::c7_attempts_number_the_grants_and_a_job_is_dead_exactly_at_its_maximum";
    ReleaseSpendsAttempt: "C7: a release spends the attempt",
        "engine::tests::invariants::c7_attempts_number_the_grants_and_a_job_is_dead_exactly_at_its_maximum";
    SecondReleaseSpins: "rule 17: a job released again and again spins at the head",
        "engine::tests::rules::rule_17_a_second_release_waits_a_second_so_that_none_spins_at_the_head";
    RequeueKeepsAttempts: "a requeued job does not start at its first attempt",
        "job::tests::rules::a_requeued_job_starts_at_its_first_attempt_and_keeps_its_errors";
    BurySpendsNothing: "C7: a buried job has not spent its attempt",
        "engine::tests::invariants::c12_a_recovery_that_dies_at_any_operation_is_finished_by_the_next";
    RetryAtIgnored: "a nack that names its retry is not heard",
        "worker::tests::running::an_error_is_kept_with_those_beneath_it_and_the_job_waits_by_its_policy";
    BackoffOneTooFar: "C7: the wait is that of the next failure",
        "engine::tests::invariants::c7_attempts_number_the_grants_and_a_job_is_dead_exactly_at_its_maximum";
    BackoffCapIgnored: "an exponential wait passes its cap",
        "job::tests::retry::an_exponential_wait_doubles_up_to_its_cap";
    KeyFreedAtRetry: "C8: a unique key is free while its job waits for a retry",
        "engine::tests::invariants::c8_two_live_jobs_never_share_a_key_and_a_key_is_free_at_once";
    KeyFreedAtClaim: "C8: a unique key is free while its job runs",
        "engine::tests::borders::c8_a_running_job_that_is_asked_to_end_keeps_its_key_until_it_does";
    KeyKeptByDead: "C8: a dead job keeps others out",
        "engine::tests::invariants::c8_two_live_jobs_never_share_a_key_and_a_key_is_free_at_once";
    ErrorsKeptOneTooMany: "more errors are kept than the limit says",
        "job::tests::rules::the_errors_of_the_last_ten_attempts_are_kept_oldest_first";
    SuspectInABatch: "rule 11: a job that crashed before is granted in a batch",
        "engine::tests::invariants::c13_after_the_faults_stop_every_ready_job_is_delivered";
    LastAttemptInABatch: "rule 11: a job on its last attempt is granted in a batch",
        "job::tests::envelope::a_job_is_careful_when_its_claim_needs_a_look_at_it";
    KeyKeptByEnded: "C8: a job that has ended keeps its key",
        "engine::tests::invariants::c8_two_live_jobs_never_share_a_key_and_a_key_is_free_at_once";
    ClearedCellCounted: "rule 3: a cleared cell is counted as living",
        "engine::tests::invariants::c6_no_job_is_early_across_reopening_and_ten_years_of_clock_jumps";
    CompletedNotCounted: "C9: completed jobs are not counted",
        "engine::tests::invariants::c9_what_was_accepted_is_live_or_has_ended_by_the_counters_and_by_a_scan";
    CarriedCountsAsNew: "C9: a carried job is counted as a new one",
        "engine::tests::full::p11_a_disk_full_at_every_step_of_room_refuses_new_work_and_ends_what_it_accepted";
    NextIdForgotten: "rule 7: replay does not raise the next id",
        "engine::tests::rules::a_clean_close_leaves_nothing_to_replay_and_the_next_id_follows";
    TokensRepeatInABatch: "P5: the jobs of one claim share a token",
        "engine::tests::borders::p5_the_books_count_the_tokens_of_a_claim_as_they_were_given";
    OldPlaceNotDropped: "rule 3: an old record is counted as living for ever",
        "engine::tests::promises::p9_a_segment_that_was_given_up_and_comes_back_with_foreign_bytes_is_no_part_of_the_log";
    PromotesBeyondTheMark: "C6: jobs behind the due mark are promoted with it",
        "engine::tests::invariants::c14_the_log_settles_within_its_bound_after_retries_cells_and_a_long_tail";
    DuplicateBeforeDurable: "rule 6: a duplicate is answered before the job it names is durable",
        "engine::tests::rules::rule_6_a_duplicate_is_answered_only_when_the_job_it_names_is_durable";
    BatchBlindToItsOwnKeys: "C8: a batch does not see its own unique keys",
        "engine::tests::borders::rule_22_a_batch_sees_its_own_keys_and_jobs_of_two_kinds_do_not_share_theirs";
    CeilingBeforeDurable: "rule 7: ids are used below a ceiling that is not durable",
        "engine::tests::borders::rule_7_an_id_beyond_the_ceiling_is_given_only_when_the_new_ceiling_is_durable";
    KeyIgnoresKind: "rule 22: jobs of two kinds share their unique keys",
        "engine::tests::borders::rule_22_a_batch_sees_its_own_keys_and_jobs_of_two_kinds_do_not_share_theirs";
    ArgsLimitOffByOne: "args one byte beyond the limit are accepted",
        "engine::tests::borders::args_are_taken_up_to_the_last_byte_of_the_limit";
    BatchLimitOffByOne: "P4: a batch of one job too many is accepted",
        "engine::tests::borders::p4_a_batch_of_one_job_too_many_is_refused_by_its_count";
    BatchBytesUnchecked: "P4: a batch of too many bytes is accepted",
        "engine::tests::borders::p4_a_batch_is_refused_by_its_bytes_before_they_fill_a_segment";
    PriorityForgotten: "C5: the priority a job was given is lost",
        "engine::tests::invariants::c5_a_higher_priority_is_granted_first_whenever_it_came";
    RunAtIgnored: "C6: a job enqueued for later is ready at once",
        "engine::tests::invariants::c6_no_job_is_early_across_reopening_and_ten_years_of_clock_jumps";
    ReachedSilently: "rule 8: claimers are not told that a new job is on disk",
        "engine::tests::waiting::news_of_a_job_that_comes_between_looking_and_sleeping_is_not_missed";
    BatchNotAtomic: "P4: the jobs of a batch are frames of their own",
        "engine::tests::promises::p4_an_ack_and_its_follow_ups_are_one_frame_at_every_crash";
    TotalsMissingAtTheHead: "a segment begins without the totals",
        "engine::tests::full::p11_a_disk_full_at_every_step_of_room_refuses_new_work_and_ends_what_it_accepted";
    GrantBeforeWritten: "P6: a lease is handed out before its record is written",
        "engine::tests::promises::p6_grants_are_counted_exactly_after_a_process_crash";
    PauseIgnored: "a paused queue is claimed from",
        "engine::tests::rules::pause_and_resume_are_durable";
    GrantedBeforeItsLevel: "P1: a job is granted before it has reached its level",
        "engine::tests::borders::p1_a_job_is_granted_only_from_the_level_it_was_accepted_at";
    ClaimBeyondMax: "more jobs are granted in one claim than the limit says",
        "engine::tests::borders::one_claim_grants_a_thousand_jobs_at_most";
    ClaimsFromAnyQueue: "a claim on one queue is given jobs of another",
        "engine::tests::borders::a_claim_is_given_jobs_of_the_queues_it_names_alone";
    UnreadForgotten: "C13: a granted job that could not be read is never handed out",
        "engine::tests::invariants::c13_a_job_the_disk_refused_to_read_is_handed_out_by_a_later_claim";
    ExpiryIgnored: "rule 18: a job is handed out after its expires_at",
        "engine::tests::reach::rule_18_a_job_that_is_reached_after_its_time_ends_expired_and_is_handed_to_nobody";
    KeyKeptAtTheStart: "rule 22: a key that is free from the start on is kept by the run",
        "engine::tests::reach::rule_22_a_key_until_the_start_is_free_while_the_job_runs_and_when_it_is_retried";
    PeriodForgotten: "rule 22: a key kept for a period is free when its job has ended",
        "engine::tests::reach::rule_22_a_key_for_a_period_keeps_others_out_until_its_end_also_in_later_processes";
    ReplaceKeepsTheArgs: "rule 22: a job that takes another's place runs with its args",
        "engine::tests::takeover::an_enqueue_that_replaces_puts_its_args_and_its_time_under_the_id_that_stands";
    KeyLimitIgnored: "rule 21: more jobs of a key are granted than may run",
        "engine::tests::limited::a_key_runs_no_more_than_its_limit_and_lets_others_pass";
    QueueLimitIgnored: "rule 21: more jobs of a queue are granted than may run",
        "engine::tests::limited::a_queue_runs_no_more_than_its_limit_with_and_without_keys";
    FreedSlotIsSilent: "C13: a job that ends does not wake who waits for its slot",
        "engine::tests::limited::the_end_of_a_job_wakes_who_waits_for_its_slot";
    TokenComesSilently: "C13: a token that comes back wakes nobody",
        "engine::tests::limited::a_token_wakes_who_waits_for_it_to_the_moment";
    BucketTrustsTheClock: "rule 16: a bucket waits for a clock that was set back",
        "engine::limits::tests::rule_16_a_clock_that_goes_back_by_a_year_costs_an_empty_bucket_at_most";
    KindPauseIgnored: "a job of a paused kind is handed out",
        "engine::tests::reach::a_paused_kind_is_parked_when_it_is_reached_and_comes_back_in_its_place";
    PoolLeaseExpires: "rule 13: a lease of the pool runs out",
        "engine::tests::rules::rule_13_extending_a_lease_of_the_pool_does_not_make_it_expire";
    AttemptFromZero: "C7: attempts are numbered from 0",
        "engine::tests::invariants::c7_attempts_number_the_grants_and_a_job_is_dead_exactly_at_its_maximum";
    StaleLeaseAccepted: "P5: an old token is accepted",
        "engine::tests::promises::p5_an_old_token_is_refused_for_ever_also_by_later_processes";
    ChangeCutsArgs: "C10: a failed attempt cuts the args",
        "engine::tests::invariants::c10_args_come_back_byte_for_byte";
    AckAnsweredEarly: "P2: an ack is answered before it is durable",
        "engine::tests::promises::p2_an_acknowledged_job_never_runs_again";
    ExtendKeepsOldDeadline: "an extended lease runs out all the same",
        "engine::tests::rules::rule_13_a_lease_taken_by_hand_expires_on_the_monotonic_clock_and_spends_its_attempt";
    PoolLeaseMadeToExpire: "rule 13: extending a lease of the pool makes it run out",
        "engine::tests::rules::rule_13_extending_a_lease_of_the_pool_does_not_make_it_expire";
    PoisonNotToldToRuns: "rule 14: a run on a poisoned handle is not asked to end",
        "engine::tests::borders::rule_14_a_run_on_a_poisoned_handle_is_asked_to_end";
    RetryDoesNotRing: "a retry does not wake the timer",
        "engine::tests::waiting::the_timer_is_set_to_the_next_due_job_and_rung_by_an_earlier_one";
    GivenBackSilently: "C13: a job given back does not wake those who wait",
        "engine::tests::waiting::a_job_that_is_given_back_wakes_who_waits_for_work";
    RequeueIgnoresKey: "C8: a requeued job takes a key that another holds",
        "engine::tests::rules::rule_22_a_unique_key_is_free_again_when_its_job_ends_and_taken_when_it_is_requeued";
    CancelNotToldToLease: "rule 20: the holder of a cancelled job is not told",
        "engine::tests::rules::rule_20_a_cancelled_running_job_is_cancelled_at_any_end_but_an_ack";
    AlreadyGoneAnswersAtOnce: "rule 6: \"not live\" is answered before the end it saw is durable",
        "engine::tests::borders::rule_6_not_live_and_already_paused_are_answered_when_what_they_saw_is_durable";
    PauseAnswersAtOnce: "rule 6: \"already paused\" is answered before the pause is durable",
        "engine::tests::borders::rule_6_not_live_and_already_paused_are_answered_when_what_they_saw_is_durable";
    OperatorDoesNotLookAgain: "rule 9: a job that moved since it was read is changed all the same",
        "engine::tests::borders::rule_9_what_was_read_of_a_job_stands_no_longer_when_the_job_has_moved";
    UnparksEveryKind: "jobs nobody here can run come back from parking",
        "engine::tests::borders::a_parked_job_comes_back_only_for_who_can_run_it";
    DueNotLogged: "rule 16: a promotion is not logged",
        "engine::tests::rules::rule_16_a_scheduled_job_is_never_early_and_due_is_logged";
    DueASecondEarly: "C6: a job is ready a second early",
        "engine::tests::invariants::c6_no_job_is_early_across_reopening_and_ten_years_of_clock_jumps";
    LeasesNeverExpire: "rule 13: a lease taken by hand never runs out",
        "engine::tests::rules::rule_13_a_lease_taken_by_hand_expires_on_the_monotonic_clock_and_spends_its_attempt";
    LeasesExpireEarly: "rule 13: a lease taken by hand runs out before its time",
        "engine::tests::borders::rule_13_a_lease_taken_by_hand_lasts_to_its_end";
    PromotedSilently: "C13: due jobs do not wake those who wait",
        "engine::tests::waiting::a_job_that_is_due_wakes_who_waits_for_work";
    OnlyTheFirstThousandDue: "C13: more due jobs than one step takes are left behind",
        "engine::tests::borders::every_due_job_is_promoted_however_many_there_are";
    UpkeepForgetsDue: "C13: the timer does not look at scheduled jobs",
        "engine::tests::waiting::the_timer_is_set_to_the_next_due_job_and_rung_by_an_earlier_one";
    CellNotCarried: "a cell is left behind by compaction",
        "engine::tests::promises::p10_the_log_settles_within_its_bound_and_one_old_job_never_pins_it";
    CarriedNotAsItStands: "a job is carried as it was written, not as it stands",
        "engine::tests::model::c1_to_c12_and_c15_hold_after_every_step_of_random_programs";
    CarrierDoesNotLookAgain: "rule 9: what changed since it was read is carried all the same",
        "engine::compact::late::rule_9_what_changes_between_the_carriers_look_and_its_staging_is_not_undone";
    CarriesNothing: "P10: compaction carries nothing",
        "engine::tests::promises::p10_the_log_settles_within_its_bound_and_one_old_job_never_pins_it";
    TrimMarkNotKept: "the trim mark is not kept in the totals",
        "engine::tests::full::p11_a_disk_full_at_every_step_of_room_refuses_new_work_and_ends_what_it_accepted";
    NeverSettles: "P10: a log at rest does not settle",
        "engine::tests::promises::p10_the_log_settles_within_its_bound_and_one_old_job_never_pins_it";
    SurplusKept: "P10: surplus segments are not given back",
        "engine::tests::promises::p10_the_log_settles_within_its_bound_and_one_old_job_never_pins_it";
    FullModeUnseen: "P11: compaction does not hear that the disk is full",
        "engine::tests::full::p11_a_disk_full_at_every_step_of_room_refuses_new_work_and_ends_what_it_accepted";
    RemovalBeforeCopySynced: "rule 1: a segment goes before its copies are synced",
        "engine::tests::narrow::rule_2_an_index_older_than_the_logs_start_is_not_even_tried";
    RemovalBeforeAcksDurable: "rule 1: a segment goes before the acks that emptied it are durable",
        "engine::planner::search::policy::a_mark_of_an_earlier_run_does_not_stand_for_the_decision_of_this_one";
    NoTrimMark: "rule 5: a segment goes unmarked",
        "engine::tests::promises::p9_a_segment_that_was_given_up_and_comes_back_with_foreign_bytes_is_no_part_of_the_log";
    LedgersNotCompared: "rule 3: a segment goes although the ledgers disagree",
        "engine::planner::search::policy::ledgers_that_disagree_stop_everything";
    HaltedGoesOn: "compaction goes on after a failed removal",
        "engine::planner::search::policy::ledgers_that_disagree_stop_everything";
    TailSegmentGivenUp: "the segment under the tail is compacted",
        "engine::planner::search::policy::full_mode_comes_to_rest_when_nothing_is_left_to_gain";
    NeverBloated: "P10: one old job pins the log",
        "engine::planner::search::policy::one_old_job_does_not_pin_the_log";
    CheckpointNotAwaited: "rule 2: compaction does not wait for a checkpoint",
        "engine::planner::search::policy::a_checkpoint_is_waited_for_but_not_in_full_mode_and_not_without_an_index";
    CheckpointBeforeDurable: "rule 2: a checkpoint is saved before its position is durable",
        "engine::tests::model::c1_to_c12_and_c15_hold_after_every_step_of_random_programs";
    CheckpointAtDurable: "a checkpoint claims the synced position, not the one it was frozen at",
        "engine::tests::model::c1_to_c12_and_c15_hold_after_every_step_of_random_programs";
    ClosedFrameVouchesBlindly: "a clean close is written before everything is durable",
        "engine::tests::model::c1_to_c12_and_c15_hold_after_every_step_of_random_programs";
    CloseIgnoresLeases: "close does not mind the leases that live",
        "engine::tests::rules::close_refuses_while_leases_live_and_the_handle_goes_on";
    CloseSavesNothing: "a close leaves no checkpoint",
        "engine::tests::rules::a_clean_close_leaves_nothing_to_replay_and_the_next_id_follows";
    ClosedFrameNotSynced: "a close answers before its last frame is durable",
        "engine::tests::borders::a_close_without_an_index_answers_when_its_last_frame_is_durable";
    LockKeptByClose: "the lock is not given back by close",
        "engine::tests::borders::a_closed_handle_leaves_the_directory_to_the_next_and_its_last_frame_is_durable";
    IdCeilingNotUsed: "rule 7: ids are given twice after a crash",
        "engine::tests::rules::rule_7_nothing_is_numbered_twice";
    OpeningNotSynced: "rule 7: jobs are taken before the opening is durable",
        "engine::tests::rules::rule_7_nothing_is_numbered_twice";
    EpochReused: "P5: two openings share an epoch",
        "engine::tests::promises::p5_an_old_token_is_refused_for_ever_also_by_later_processes";
    OpeningForgetsNextId: "rule 7: an opening does not log the next id",
        "engine::tests::borders::rule_7_an_opening_that_took_nothing_does_not_give_lost_numbers_back";
    NonceReused: "rule 7: two openings share a nonce",
        "engine::tests::borders::rule_7_two_directories_give_no_two_jobs_the_same_idempotency_key";
    OrphansLeftInFlight: "P1: a job in flight at a crash is never granted again",
        "engine::tests::rules::rule_12_a_last_attempt_stays_the_last";
    CancelWishLostAtCrash: "rule 20: a cancelled job that was running at a crash runs again",
        "engine::tests::rules::rule_20_a_cancelled_running_job_is_cancelled_at_any_end_but_an_ack";
    EpochsPruned: "rule 7: an epoch is forgotten while jobs of it live",
        "engine::tests::rules::rule_7_an_idempotency_key_is_the_same_for_every_attempt_and_for_no_other_job";
    TrimmedNotLeftOut: "P9: a segment that was given up and came back is replayed",
        "engine::tests::promises::p9_a_segment_that_was_given_up_and_comes_back_with_foreign_bytes_is_no_part_of_the_log";
    LedgerNotHeldAgainstIndex: "rule 3: a saved ledger is not held against the index",
        "engine::tests::borders::rule_3_a_saved_ledger_that_disagrees_with_its_index_is_not_believed";
    OwedForgotten: "P8: a log that holds no record of a job it speaks of is taken for whole",
        "engine::tests::borders::p8_a_log_that_speaks_of_a_job_and_never_shows_it_is_reported";
    IndexBeyondLogTrusted: "rule 2: an index newer than the log is believed",
        "engine::tests::narrow::rule_2_an_index_from_beyond_the_logs_end_convicts_the_log";
    OlderIndexTrusted: "rule 2: an index older than the log's start is believed",
        "engine::tests::narrow::rule_2_an_index_older_than_the_logs_start_is_not_even_tried";
    AnotherLogsIndexTrusted: "rule 2: an index of another log is believed",
        "index::tests::trusting::an_index_is_used_only_between_the_log_s_start_and_end";
    HoledIndexTrusted: "rule 3: an index with a missing value is believed",
        "index::tests::saving::every_missing_value_is_noticed";
    CensusIgnored: "rule 3: trees that disagree are believed",
        "index::tests::saving::a_census_that_disagrees_is_refused_though_every_checksum_holds";
    LaneCountsIgnored: "rule 3: lanes that disagree with their jobs are believed",
        "index::tests::saving::counts_of_a_lane_that_are_not_its_jobs_are_refused";
    KeysNotSaved: "a checkpoint leaves the unique keys out",
        "index::tests::golden::the_saved_form_of_every_tree_is_pinned";
    GarbledIndexTrusted: "rule 3: a value that fails its checksum is believed",
        "index::tests::golden::seals_and_digests_are_pinned";
    MetaBeforeFlush: "rule 24: the switch to a new checkpoint may be durable before its leaves",
        "index::tests::reordering::a_power_cut_between_any_two_writes_of_a_save_leaves_the_old_checkpoint_or_the_new_one";
    OldVersionsGoFirst: "rule 24: old leaves go before the switch to the new ones is durable",
        "index::tests::reordering::a_power_cut_between_any_two_writes_of_a_save_leaves_the_old_checkpoint_or_the_new_one";
    NumberReused: "rule 24: two checkpoints share a number",
        "index::tests::keeping::a_store_that_fails_panics_or_hangs_is_gone_for_the_run";
    RemovalsNotWritten: "rule 24: leaves that are gone come back",
        "index::tests::saving::a_save_cut_at_any_write_leaves_the_old_checkpoint_or_the_new_one";
    KeeperGoesOn: "rule 24: a store that failed is asked again",
        "index::tests::keeping::a_store_that_failed_is_let_go_at_once";
    KeeperForgetsFailure: "rule 24: a store that failed counts as working",
        "index::tests::keeping::a_store_that_fails_panics_or_hangs_is_gone_for_the_run";
    KeeperWaitsForEver: "rule 24: a store that hangs is waited for",
        "index::tests::keeping::a_store_that_hangs_is_not_waited_for_longer_than_the_deadline";
    OpeningUnmarked: "rule 24: nothing stands while sled opens",
        "index::tests::sled::while_sled_opens_its_mark_stands";
    BadFolderKept: "rule 24: a folder that cannot be read is not put aside",
        "index::tests::sled::a_lock_held_too_long_puts_the_folder_aside";
    PriorityTurnedRound: "C5: low priorities come first",
        "engine::tests::invariants::c5_a_higher_priority_is_granted_first_whenever_it_came";
    BellForgetsTasks: "C13: a task that waits for work is not woken",
        "queue::tests::a_task_that_waits_for_a_job_is_woken_when_one_comes";
    LostWakeUp: "rule 8: news that comes before the sleep is lost",
        "engine::tests::waiting::a_bell_that_rings_while_nobody_sleeps_is_heard_by_who_looked_before";
    NotReleasedBehindABatch: "a written job behind one that waits for its sync does not wake claimers",
        "engine::tests::waiting::a_written_job_behind_one_that_waits_for_its_sync_is_told_of";
    GapsForgotten: "an id that was never given is said to be finished",
        "engine::tests::promises::p1_what_was_only_buffered_survives_the_process_but_not_the_power";
    AdminSocketOpenToAll: "the admin socket can be used by everybody",
        "face::tests::the_socket_is_its_owners_alone";
    AdminConnectionsUnbounded: "clients of the admin socket take as many threads as they like",
        "face::tests::more_clients_than_there_is_room_for_are_refused_and_harm_nobody";
    DeadlineOutlivesLease: "a lease that was given back runs out for its successor",
        "engine::tests::borders::a_lease_that_was_ended_leaves_no_deadline_behind";
    ReaderSeesUnvouched: "rule 23: a reader beside an owner sees what is not vouched for",
        "engine::tests::borders::rule_23_a_reader_beside_an_owner_sees_only_what_is_vouched_for";
    OrphansShownInFlight: "rule 23: a job nobody runs is shown in flight",
        "engine::tests::rules::rule_23_looking_changes_nothing";
    MakerStopsShort: "rule 10: the maker leaves the writers waiting",
        "engine::tests::waiting::a_verb_that_waits_for_room_goes_on_when_there_is_some";
    MadeSilently: "rule 10: who waits for room is not told of it",
        "engine::tests::waiting::a_verb_that_waits_for_room_goes_on_when_there_is_some";
    StopForgetsSleepers: "a dropped handle leaves its services asleep",
        "engine::tests::waiting::a_dropped_handle_wakes_who_waits_for_work";
    DroppedLeaseKept: "C13: a lease that is dropped is never given back",
        "queue::tests::a_lease_dropped_without_a_verdict_is_a_failed_attempt";
    DroppedLeaseIsAck: "P1: a lease that is dropped completes its job",
        "queue::tests::a_lease_dropped_without_a_verdict_is_a_failed_attempt";
    LeaseEndDoesNotWait: "P2: the end of a lease is answered before it is durable",
        "queue::tests::the_end_of_a_lease_is_answered_when_it_is_durable";
    RunTwice: "P5: a job is run by two threads",
        "worker::tests::ending::stopping_waits_for_the_job_that_runs_and_starts_no_other";
    ShutdownReleasesNothing: "the end of the last handle does not give back what runs",
        "worker::tests::ending::the_end_of_the_last_handle_gives_back_what_still_runs_and_its_outcome_counts_for_nothing";
    WeightsIgnored: "a pool serves its queues evenly, whatever their weights",
        "worker::order::tests::shares_are_as_the_weights_say_whatever_the_size_of_a_claim";
    PoolForgetsLastAck: "a thread that ends has not seen its acks reach the disk",
        "worker::tests::ending::stopping_waits_for_the_job_that_runs_and_starts_no_other";
    PanicIsSuccess: "a handler that panics completes its job",
        "worker::tests::running::a_panic_is_a_failed_attempt_with_its_message";
    SignalUnheard: "a signal does not stop the workers",
        "worker::tests::signals::a_signal_lets_runs_finish_and_a_second_one_gives_the_rest_back_at_once";
    StopDoesNotNudge: "a stop leaves the claiming thread asleep",
        "worker::tests::ending::stopping_wakes_a_pool_that_waits_for_work";
    PolicyIgnored: "rule 14: a pool that is to exit on a failed disk lives on",
        "worker::tests::ending::a_pool_that_is_to_exit_on_a_failed_disk_does_so_when_its_last_run_has_returned";
    SecondSignalUnheard: "a second signal does not end the wait",
        "worker::tests::signals::a_signal_lets_runs_finish_and_a_second_one_gives_the_rest_back_at_once";
    PillSpared: "rule 11: a job that kills the process while it runs alone is never convicted",
        "engine::tests::suspects::rule_11_a_pill_is_convicted_alone_and_no_innocent_with_it";
    ConvictedInCompany: "rule 11: a job is convicted for a death it did not die alone",
        "engine::tests::suspects::rule_11_others_are_held_back_a_minute_at_most_and_then_nobody_is_convicted";
    SuspectBesideOthers: "rule 11: a suspect runs beside others and counts as alone",
        "engine::tests::suspects::rule_11_a_suspect_of_a_paused_queue_holds_back_nobody";
    HeldBackForEver: "rule 11: a suspect holds the others back for ever",
        "engine::tests::suspects::rule_11_others_are_held_back_a_minute_at_most_and_then_nobody_is_convicted";
    TurnEndsSilently: "rule 11: who is held back is not told that the turn has ended",
        "engine::tests::suspects::rule_11_who_is_held_back_is_woken_when_the_turn_ends";
    AloneNotCleared: "rule 11: who runs in company still counts as alone",
        "engine::tests::suspects::rule_11_others_are_held_back_a_minute_at_most_and_then_nobody_is_convicted";
    UnreachedOffByOne: "P1: the last job of a batch is granted before it has reached its level",
        "engine::tests::borders::p1_a_job_is_granted_only_from_the_level_it_was_accepted_at";
    TrailingBytesAccepted: "a record with bytes left over is accepted",
        "job::tests::hostile::one_byte_too_many_is_an_error";
    CellsOutliveTheirJob: "what a job kept beside itself stays when it ends",
        "engine::tests::notes::what_a_run_keeps_goes_with_its_job_and_survives_every_crash_before";
    OverdueRunGoesOn: "the future of a run whose time is over is not dropped",
        "worker::tests::asynchronous::at_its_timeout_a_future_is_dropped_and_the_attempt_has_failed";
    OverdueRunsUnseen: "rule 13: a run past its timeout is not reported as stuck",
        "worker::tests::stats::rule_13_a_run_past_its_timeout_is_shown_as_stuck_until_it_returns";
    CancelledRunsUnseen: "rule 13: a run whose job was cancelled is not reported as stuck",
        "worker::tests::stats::rule_13_a_run_whose_job_was_cancelled_is_shown_as_stuck_and_the_longest_run_first";
    EndedRunsShown: "a run that ends while somebody looks is shown as stuck",
        "worker::tests::stats::a_run_that_ends_while_somebody_looks_is_not_shown_as_stuck";
    MomentsRoundedDown: "a scheduled job runs up to a millisecond early",
        "ids::tests::a_moment_between_two_milliseconds_is_not_reached_by_the_first";
    CutLeafForgotten: "a leaf that took an entry while it was closed is not saved",
        "index::tests::packed::a_packed_map_does_what_a_tree_map_does";
    ChangedLeafForgotten: "a changed leaf of the index is not saved",
        "index::tests::saving::what_was_saved_loads_after_every_save";
    FormatCrcUnchecked: "P8: the CRC of `format` is not looked at",
        "log::tests::damage::a_damaged_format_file_is_reported_bit_by_bit";
    FilesOpenToAll: "files can be read by anybody",
        "disk::tests::real::modes_are_private_whatever_the_umask";
    FollowUpsForgotten: "the follow-up jobs of a run are dropped",
        "worker::tests::running::follow_ups_that_find_the_disk_full_are_a_failed_attempt";
    CellsOfAckForgotten: "a cell set with an ack is not booked",
        "engine::tests::model::c1_to_c12_and_c15_hold_after_every_step_of_random_programs";
    ClosedHandleServes: "a closed handle takes new work",
        "engine::tests::borders::a_closed_handle_leaves_the_directory_to_the_next_and_its_last_frame_is_durable";
    DamagedSegmentRecycled: "rule 15: a segment with noted damage is recycled",
        "engine::tests::damaged::rule_15_a_damaged_job_of_any_state_is_buried_and_compaction_goes_on";
    UnnotedHolePassed: "rule 15: a rebuild passes over damage that nobody noted",
        "engine::tests::damaged::rule_15_a_rebuild_passes_over_exactly_what_was_noted";
    DamagedKeepsItsKey: "rule 15: a damaged job keeps its unique key for ever",
        "engine::tests::damaged::rule_15_a_damaged_job_frees_its_unique_key";
    DamageStopsCompaction: "rule 15: damage met by the carrier stops compaction",
        "engine::tests::damaged::rule_15_damaged_frame_headers_lose_nothing_while_the_index_stands";
    LostRecordsNotBuried: "rule 15: what cannot be read is left behind in the segment",
        "engine::tests::damaged::rule_15_a_sector_that_does_not_read_buries_its_job_and_no_other";
    TextsKeptWhenFull: "rule 10: on a full disk error texts use up the reserve",
        "engine::tests::full::rule_10_failures_told_at_length_do_not_use_up_a_full_disk";
    FullModeEndsEarly: "rule 10: one freed segment ends full mode, and compaction sleeps",
        "engine::tests::full::rule_10_failures_told_at_length_do_not_use_up_a_full_disk";
    CarriedCountsAsClosing: "full mode: compaction goes round for ever for what it wrote itself",
        "engine::tests::full::rule_10_compaction_of_a_full_disk_comes_to_rest";
    CarriedFramesLeaveEnds: "full mode: the carrier needs more room than it frees",
        "engine::tests::full::rule_10_failures_told_at_length_do_not_use_up_a_full_disk";
    CarrierCornered: "rule 10: closing records take what compaction needs to free anything",
        "engine::tests::full::p11_however_much_of_a_full_disk_runs_and_fails_every_job_can_still_be_acked";
    OpenFreesNothing: "P11: a full disk does not open because much was running",
        "engine::tests::full::p11_a_full_disk_opens_with_all_that_was_running_and_ends_it";
    FullStopsThePool: "rule 10: a failure that does not fit a full disk ends the pool",
        "worker::tests::running::a_failure_that_does_not_fit_a_full_disk_is_told_when_it_does_and_the_pool_goes_on";
    PoolNeverClaimsAhead: "short jobs cost a claim each",
        "worker::tests::running::rule_11_a_pool_claims_no_more_than_a_millisecond_of_work_ahead";
    PoolForgetsSlowRuns: "rule 11: jobs wait in the pool behind a slow one, and a crash interrupts them all",
        "worker::tests::running::rule_11_a_pool_claims_no_more_than_a_millisecond_of_work_ahead";
    LeaderForgetsTheOthers: "rule 8: who asked while another led waits for ever",
        "engine::tests::waiting::rule_8_who_asks_while_another_leads_is_answered_by_the_committer";
    MemberEndNotCounted: "what happens to a member is not counted by its group",
        "engine::tests::groups::every_way_a_member_can_end_or_die_is_counted";
    RevivedStillCountsAsDead: "a requeued member still counts as dead",
        "engine::tests::groups::a_requeued_member_is_pending_again_and_its_success_makes_the_group_one";
    CancelledCountsAsSuccess: "on_success runs though a member was cancelled",
        "engine::tests::groups::on_success_waits_for_every_member_and_is_discarded_if_one_ended_otherwise";
    OverGroupTakesMembers: "a group that has completed takes members",
        "engine::tests::groups::a_group_that_is_complete_takes_no_more_jobs";
    DamagedMemberNotCounted: "rule 15: a member whose record is damaged keeps its group pending for ever",
        "engine::tests::groups::a_damaged_member_is_a_dead_one";
    PrunedMemberNotCounted: "rule 19: a dead member that is pruned keeps its group dead for ever",
        "engine::tests::groups::every_way_a_member_can_end_or_die_is_counted";
    MembersKeepNoRoom: "rule 10: the end of a member finds no room for its group's cell",
        "engine::tests::groups::crashes::p11_every_member_of_a_full_disk_can_be_acked_and_the_callback_runs";
    CellsKeptForEver: "rule 19: a cell whose time is over is never pruned",
        "engine::tests::kept::a_result_is_answered_until_its_time_is_over_and_not_a_moment_longer";
    ParkedArePruned: "rule 19: parked jobs are pruned like dead ones",
        "engine::tests::kept::rule_19_a_crowd_of_parked_jobs_is_never_pruned_and_hides_no_dead_one_behind_it";
    ResultsHoldUpTheEnd: "rule 10: on a full disk a job with a result cannot end",
        "engine::tests::kept::rule_10_a_job_ends_on_a_full_disk_and_leaves_no_result";
    EndWakesNobody: "who waits for a job is not woken by its end",
        "engine::tests::watching::rule_6_a_waiter_hears_of_an_end_when_it_is_durable_and_not_before";
    EndToldAtOnce: "rule 6: who waits for a job hears of an end that is not durable",
        "engine::tests::watching::rule_6_a_waiter_hears_of_an_end_when_it_is_durable_and_not_before";
    WaitAnswersAtOnce: "rule 6: who asks later hears of an end that is not durable",
        "engine::tests::watching::rule_6_who_comes_after_the_end_waits_for_what_he_looked_at";
    CancelWakesNobody: "who waits for the word to stop is not woken by a cancel",
        "engine::tests::watching::a_run_is_told_to_stop_by_the_cancel_itself_and_by_its_own_end";
    EventsToldEarly: "an event is told before what it tells is durable",
        "engine::tests::events::events_are_told_in_order_when_they_are_durable_and_not_before";
    HistoryGrows: "the history in memory grows without end",
        "engine::tests::events::the_history_holds_the_last_jobs_that_ended_and_no_more";
    GraceWakesNobody: "a run that waits for the word to stop sleeps through the end of the grace",
        "worker::tests::cancelled::the_end_of_the_grace_wakes_every_run";
    SealingForgotten: "args of a sealed job are written in plain",
        "engine::tests::sealed::nothing_of_a_sealed_job_stands_in_plain_on_the_disk";
    ErrorTextInPlain: "the error of a sealed job is written in plain",
        "engine::tests::sealed::nothing_of_a_sealed_job_stands_in_plain_on_the_disk";
    CellsInPlain: "steps, checkpoints and results of a sealed job are written in plain",
        "engine::tests::sealed::nothing_of_a_sealed_job_stands_in_plain_on_the_disk";
    SealedForAnyJob: "sealed bytes of one job open as another's",
        "keys::tests::bytes_of_one_job_do_not_open_as_another_jobs_kind_field_step_or_attempt";
    ReservedIdsGivenTwice: "rule 7: an id that was reserved is given to another job",
        "engine::tests::sealed::ids_that_were_reserved_and_not_used_are_given_to_nobody_else";
    UnreachedOutOfOrder: "P1: a job with a reserved id is granted before it has reached its level",
        "engine::tests::sealed::a_job_whose_reserved_id_is_below_others_is_found_by_claims_and_by_the_next_open";
    ParentOfTheCallIsOver: "the second link of a sealed chain runs beside the first",
        "engine::tests::sealed::a_link_of_a_sealed_chain_waits_for_the_one_before";
    GapsAreMembers: "a duplicate in a sealed batch keeps its group pending for ever",
        "engine::tests::sealed::a_duplicate_in_a_sealed_batch_is_no_member_of_its_group";
    SealedStayParked: "rule 19: a job whose key was missing stays parked when it is there",
        "engine::tests::sealed::a_job_whose_key_is_missing_is_parked_and_comes_back_with_the_key";
    SealedRunUnopened: "a step that does not open is met by the handler, and retried to death",
        "engine::tests::sealed::a_step_that_does_not_open_parks_its_job_before_anybody_runs_it";
    CallbackLetGoInOneLifeOnly: "a callback that was due when the process died stays held",
        "engine::tests::groups::crashes::after_a_crash_at_any_operation_no_group_hangs_or_drifts";
    BulkHasNoCeiling: "a bulk verb reaches jobs that were enqueued after it began",
        "engine::tests::bulk::jobs_enqueued_while_a_bulk_verb_goes_on_are_not_touched";
    BulkForgetsItsOwnKeys: "C8: of two dead jobs with one unique key a bulk requeue makes both live",
        "engine::tests::bulk::c8_of_two_dead_jobs_with_one_key_a_bulk_requeue_takes_the_first";
    BulkLeavesNoCell: "a bulk verb that was interrupted by a crash is forgotten",
        "engine::tests::bulk::crashes::after_a_crash_at_any_operation_every_match_is_changed_once_and_audited_once";
    BulkCellOutlivesIt: "a bulk verb that is over goes on after the next open",
        "engine::tests::bulk::crashes::after_a_crash_at_any_operation_every_match_is_changed_once_and_audited_once";
}
