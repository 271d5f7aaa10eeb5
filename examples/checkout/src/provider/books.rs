//! What the services did, by idempotency key.

use std::collections::BTreeMap;

use super::{ChargeAnswer, ChargeRequest, ReceiptRequest};

#[derive(Default)]
pub(crate) struct Books {
    /// By key: the same key is the same charge.
    pub(crate) charges: BTreeMap<String, Booking>,
    /// By key, the order.
    pub(crate) receipts: BTreeMap<String, String>,
    /// Requests by order.
    charge_requests: BTreeMap<String, u32>,
    receipt_requests: BTreeMap<String, u32>,
    /// Requests that came when the key was booked already.
    pub(crate) asked_again: Again,
}

/// Requests for what had been done: each is an answer that was lost on its way, or a shop that died.
#[derive(Default)]
pub(crate) struct Again {
    pub(crate) charged: u32,
    pub(crate) declined: u32,
    pub(crate) receipts: u32,
}

pub(crate) struct Booking {
    pub(crate) order: String,
    pub(crate) cents: u64,
    pub(crate) answer: ChargeAnswer,
}

impl Books {
    /// How many requests for this order came before.
    pub(super) fn asked_to_charge(&mut self, order: &str) -> u32 {
        count(&mut self.charge_requests, order)
    }

    pub(super) fn asked_to_send(&mut self, order: &str) -> u32 {
        count(&mut self.receipt_requests, order)
    }

    /// Charges, or declines, or says what was said before; and whether it is new.
    pub(super) fn charge(&mut self, key: String, ask: &ChargeRequest, refuses: Option<&str>) -> (ChargeAnswer, bool) {
        if let Some(booking) = self.charges.get(&key) {
            match booking.answer {
                ChargeAnswer::Charged { .. } => self.asked_again.charged += 1,
                ChargeAnswer::Declined { .. } => self.asked_again.declined += 1,
            }
            return (booking.answer.clone(), false);
        }
        let answer = match refuses {
            Some(reason) => ChargeAnswer::Declined { reason: reason.to_owned() },
            None => ChargeAnswer::Charged { payment: self.charges.len() as u64 + 1 },
        };
        let booking = Booking { order: ask.order.clone(), cents: ask.cents, answer: answer.clone() };
        self.charges.insert(key, booking);
        (answer, true)
    }

    /// Sends a receipt, unless this key's is out; whether it went out now.
    pub(super) fn send(&mut self, key: String, ask: &ReceiptRequest) -> bool {
        let is_new = self.receipts.insert(key, ask.order.clone()).is_none();
        self.asked_again.receipts += u32::from(!is_new);
        is_new
    }

    pub(crate) fn charged(&self) -> impl Iterator<Item = &Booking> {
        self.charges.values().filter(|booking| matches!(booking.answer, ChargeAnswer::Charged { .. }))
    }

    pub(crate) fn declined(&self) -> impl Iterator<Item = &Booking> {
        self.charges.values().filter(|booking| matches!(booking.answer, ChargeAnswer::Declined { .. }))
    }

    pub(crate) fn charge_requests(&self) -> u32 {
        self.charge_requests.values().sum()
    }

    pub(crate) fn receipt_requests(&self) -> u32 {
        self.receipt_requests.values().sum()
    }
}

fn count(requests: &mut BTreeMap<String, u32>, order: &str) -> u32 {
    let requests = requests.entry(order.to_owned()).or_default();
    *requests += 1;
    *requests - 1
}
