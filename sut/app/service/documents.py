"""The documents that a fresh database starts with."""

from __future__ import annotations

DOCUMENTS: tuple[str, ...] = (
    "Refunds are paid to the original card within five working days.",
    "An order can be changed until it leaves the warehouse.",
    "Express delivery arrives on the next working day if ordered before noon.",
    "Gift cards do not expire and cannot be exchanged for cash.",
    "Damaged goods are replaced free of charge when reported within thirty days.",
    "Invoices can be downloaded from the account page as PDF files.",
    "Two-factor authentication is switched on in the security settings.",
    "Passwords must have twelve characters and may be a sentence.",
    "Support answers by chat from eight to twenty, by mail at any hour.",
    "Customs duties for orders outside the union are paid by the receiver.",
    "Subscriptions renew monthly and can be paused for up to three months.",
    "Loyalty points are credited when the return period has ended.",
    "The warranty covers two years, batteries six months.",
    "Spare parts stay available for seven years after a model ends.",
    "Large items are delivered by appointment to the place of use.",
    "Returned items must be unused and in their packaging.",
    "Business customers can order on account after a credit check.",
    "Personal data is deleted on request once legal periods have passed.",
    "Pick-up in store is free and ready within two hours.",
    "Prices include value added tax; shipping is shown before payment.",
)
