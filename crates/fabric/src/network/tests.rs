//! Networks over memory, and the suite on every engine that needs no build of its own.

use crate::chance::Chance;
use crate::conformance;
use crate::conformance::real_time::RealStage;
use crate::conformance::virtual_time::VirtualStage;
use crate::memory::Hub;
use crate::sim::Faults;
use crate::timing::Timing;
use std::time::Duration;

conformance!(memory, |timing: Timing| RealStage::new(Hub::new(), timing));

conformance!(good_network, |timing: Timing| {
    let faults = Faults { delay_max: Duration::from_micros(200), ..Faults::default() };
    VirtualStage::new(1, faults, timing)
});

conformance!(bad_network, |timing: Timing| {
    let faults = Faults {
        delay_max: Duration::from_millis(1),
        lose_one_in: 100,
        double_one_in: 50,
        late_one_in: 2,
        silent_one_in: 0,
    };
    VirtualStage::new(Chance::new(5).number(), faults, timing)
});
